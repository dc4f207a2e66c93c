resource "aws_cloudwatch_log_group" "orchestrator" {
  name              = "/aws/lambda/${local.function_name}"
  retention_in_days = var.log_retention_days
}

# Under this prefix Step Functions needs no resource policy of its own, of which an account has ten.
resource "aws_cloudwatch_log_group" "state_machine" {
  name              = "/aws/vendedlogs/states/${local.state_machine_name}"
  retention_in_days = var.log_retention_days
}

# For the machines that run migrations: point the CloudWatch agent or the awslogs driver at it.
resource "aws_cloudwatch_log_group" "runner" {
  name              = "/ts-migration/${var.name}"
  retention_in_days = var.log_retention_days
}
