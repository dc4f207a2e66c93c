data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

# Names and ARNs are composed, not read from resources: the policies name a state machine whose role needs them first.
locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition

  bucket_name        = coalesce(var.export_bucket, "${var.name}-export-${local.account}-${var.region}")
  topic_name         = "${var.name}-notifications"
  function_name      = "${var.name}-orchestrator"
  state_machine_name = "${var.name}-state-machine"

  bucket_arn        = "arn:${local.partition}:s3:::${local.bucket_name}"
  topic_arn         = "arn:${local.partition}:sns:${var.region}:${local.account}:${local.topic_name}"
  function_arn      = "arn:${local.partition}:lambda:${var.region}:${local.account}:function:${local.function_name}"
  state_machine_arn = "arn:${local.partition}:states:${var.region}:${local.account}:stateMachine:${local.state_machine_name}"
}

module "documents" {
  source = "./documents"

  partition         = local.partition
  region            = var.region
  account           = local.account
  tables            = var.tables
  restored_tables   = var.restored_tables
  bucket            = local.bucket_arn
  topic             = local.topic_arn
  function          = local.function_arn
  state_machine     = local.state_machine_arn
  token_secret      = var.influxdb_token_secret_arn
  key               = var.kms_key_arn
  metrics_namespace = var.metrics_namespace
  cutover           = var.cutover
  poll_seconds      = var.poll_seconds
  timeout_seconds   = var.timeout_hours * 3600
}
