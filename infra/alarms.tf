locals {
  # Of any job: the migration's metrics have the dimension Job, and an alarm takes no search over dimensions.
  migration_alarms = {
    windows-failed = {
      description = "A window of a migration failed. Next: ts-migration monitor --auto-discover"
      metric      = "WindowsFailed"
    }
    validation-failures = {
      description = "A check of a window failed. Next: ts-migration validate"
      metric      = "ValidationFailures"
    }
  }

  service_alarms = {
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
  for_each = local.migration_alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.notifications.arn]

  metric_query {
    id          = "all_jobs"
    expression  = "SELECT SUM(${each.value.metric}) FROM SCHEMA(\"${var.metrics_namespace}\", Job)"
    period      = 300
    return_data = true
  }
}

resource "aws_cloudwatch_metric_alarm" "service" {
  for_each = local.service_alarms

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
