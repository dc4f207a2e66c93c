# The guide's four, which setup_migration_environment.sh turns into environment variables.
output "migration_orchestrator_lambda_arn" {
  description = "MIGRATION_ORCHESTRATOR_LAMBDA_ARN"
  value       = aws_lambda_function.orchestrator.arn
}

output "migration_state_machine_arn" {
  description = "MIGRATION_STATE_MACHINE_ARN"
  value       = aws_sfn_state_machine.migration.arn
}

output "migration_export_bucket" {
  description = "S3_EXPORT_BUCKET"
  value       = aws_s3_bucket.export.id
}

output "migration_notification_topic_arn" {
  description = "NOTIFICATION_TOPIC_ARN"
  value       = aws_sns_topic.notifications.arn
}

output "role_arns" {
  description = "Roles of the stages, and `runner` for who runs whole migrations."
  value       = merge({ for stage, role in aws_iam_role.stage : stage => role.arn }, { runner = aws_iam_role.runner.arn })
}

output "log_groups" {
  description = "Log groups of the Lambda, the state machine and the machines that run migrations."
  value = {
    orchestrator  = aws_cloudwatch_log_group.orchestrator.name
    state_machine = aws_cloudwatch_log_group.state_machine.name
    runner        = aws_cloudwatch_log_group.runner.name
  }
}
