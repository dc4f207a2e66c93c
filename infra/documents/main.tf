# Documents of the migration's infrastructure as text: IAM policies and the state machine. No provider and no resource:
# `terraform console` and the tests read them without an account.

terraform {
  required_version = ">= 1.9"
}

variable "partition" {
  type = string
}

variable "region" {
  type = string
}

variable "account" {
  type = string
}

variable "tables" {
  description = "Timestream tables that are read, as database/table; a table of * is every table of the database."
  type        = list(string)
}

variable "restored_tables" {
  description = "Timestream tables that exports may be restored into, in the form of `tables`."
  type        = list(string)
}

variable "bucket" {
  description = "ARN of the export bucket."
  type        = string
}

variable "topic" {
  description = "ARN of the topic."
  type        = string
}

variable "function" {
  description = "ARN of the orchestrator Lambda."
  type        = string
}

variable "state_machine" {
  description = "ARN of the state machine."
  type        = string
}

variable "token_secret" {
  description = "ARN of the secret that holds the InfluxDB token; null where there is none."
  type        = string
}

variable "key" {
  description = "ARN of the KMS key of the export bucket; null where S3's own key encrypts it."
  type        = string
}

variable "metrics_namespace" {
  type = string
}

variable "cutover" {
  description = "ARNs of what a cutover switches."
  type = object({
    lambda_functions = list(string)
    apis             = list(string)
    ssm_parameters   = list(string)
    secrets          = list(string)
    dashboards       = list(string)
    topics           = list(string)
  })
}

variable "poll_seconds" {
  type = number
}

variable "timeout_seconds" {
  type = number
}

locals {
  database_prefix = "arn:${var.partition}:timestream:${var.region}:${var.account}:database"

  values = {
    databases          = distinct([for table in var.tables : "${local.database_prefix}/${split("/", table)[0]}"])
    tables             = [for table in var.tables : "${local.database_prefix}/${split("/", table)[0]}/table/${split("/", table)[1]}"]
    bucket             = var.bucket
    restored_databases = distinct([for table in var.restored_tables : "${local.database_prefix}/${split("/", table)[0]}"])
    restored_tables    = [for table in var.restored_tables : "${local.database_prefix}/${split("/", table)[0]}/table/${split("/", table)[1]}"]
    topic              = var.topic
    function           = var.function
    state_machine      = var.state_machine
    metrics_namespace  = var.metrics_namespace
    logs               = "arn:${var.partition}:logs:${var.region}:${var.account}:log-group:/ts-migration/*"
    cutover            = var.cutover
  }

  stages = ["preflight", "export", "conversion", "load", "validation", "rollback", "cutover", "cleanup", "restore", "messages", "monitor"]
}

output "policies" {
  description = "IAM policy per stage, as JSON. `token` is there where a secret holds the InfluxDB token, `key` for a KMS key."
  value = merge(
    { for stage in local.stages : stage => templatefile("${path.module}/policies/${stage}.json.tftpl", local.values) },
    var.token_secret == null ? {} : {
      token = templatefile("${path.module}/policies/token.json.tftpl", { token_secret = var.token_secret })
    },
    var.key == null ? {} : { key = templatefile("${path.module}/policies/key.json.tftpl", { key = var.key }) },
  )
}

output "state_machine" {
  description = "Definition of the state machine, in Amazon States Language."
  value = templatefile("${path.module}/state_machine.json.tftpl", {
    partition       = var.partition
    function        = var.function
    topic           = var.topic
    poll_seconds    = var.poll_seconds
    timeout_seconds = var.timeout_seconds
  })
}
