locals {
  alarms = {
    windows-failed = {
      description = "A window of a migration failed for good. Next: ts-migration monitor --auto-discover"
      namespace   = var.metrics_namespace
      metric      = "WindowsFailed"
      dimensions  = {}
    }
    validation-failures = {
      description = "A check of a window failed. Next: ts-migration validate"
      namespace   = var.metrics_namespace
      metric      = "ValidationFailures"
      dimensions  = {}
    }
    orchestrator-errors = {
      description = "The orchestrator Lambda failed. Next: its log group, and whether Dagster's webserver answers"
      namespace   = "AWS/Lambda"
      metric      = "Errors"
      dimensions  = { FunctionName = local.function_name }
    }
    executions-failed = {
      description = "An execution of the state machine failed. Next: its message on the topic, and Dagit"
      namespace   = "AWS/States"
      metric      = "ExecutionsFailed"
      dimensions  = { StateMachineArn = local.state_machine_arn }
    }
    executions-timed-out = {
      description = "The state machine gave up watching; the migration goes on. Next: start it again"
      namespace   = "AWS/States"
      metric      = "ExecutionsTimedOut"
      dimensions  = { StateMachineArn = local.state_machine_arn }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "migration" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.notifications.arn]
}
