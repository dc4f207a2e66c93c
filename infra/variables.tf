variable "region" {
  description = "AWS Region of the Timestream tables: UNLOAD writes to a bucket of its own Region only."
  type        = string
  default     = "us-east-1"
}

variable "name" {
  description = "Prefix of every name."
  type        = string
  default     = "migration"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,19}$", var.name))
    error_message = "Small letters, digits and hyphens, beginning with a letter, at most 20."
  }
}

variable "export_bucket" {
  description = "Name of the export bucket; by default the prefix with -export-, account and Region."
  type        = string
  default     = null
}

variable "tables" {
  description = "Timestream tables that may be read, as database/table; database/* is every table of a database."
  type        = list(string)

  validation {
    condition     = length(var.tables) > 0 && alltrue([for table in var.tables : can(regex("^[^/*]+/[^/]+$", table))])
    error_message = "One or more, each as database/table."
  }
}

variable "dagster_url" {
  description = "URL of the Dagster webserver as the Lambda reaches it, without /graphql."
  type        = string

  validation {
    condition     = can(regex("^https?://[^/]+", var.dagster_url))
    error_message = "It begins with http:// or https://."
  }
}

variable "dagster_headers_secret_arn" {
  description = "Secret that holds a JSON object of HTTP headers for the webserver, such as an authorization; null for none."
  type        = string
  default     = null
}

variable "subnet_ids" {
  description = "Subnets of the Lambda, where the webserver is in a VPC."
  type        = list(string)
  default     = []
}

variable "security_group_ids" {
  description = "Security groups of the Lambda in these subnets."
  type        = list(string)
  default     = []
}

variable "influxdb_token_secret_arn" {
  description = "Secret that holds the InfluxDB token (INFLUXDB_TOKEN_SECRET_ARN); null where the token is given otherwise."
  type        = string
  default     = null
}

variable "kms_key_arn" {
  description = "KMS key of bucket and topic; null for S3's own key and a topic without one. CloudWatch must be allowed to use it."
  type        = string
  default     = null
}

variable "trusted_principals" {
  description = "ARNs of who may take on the roles of the stages: the role of the machine or task that runs ts-migration, people."
  type        = list(string)
  default     = []
}

variable "restored_tables" {
  description = "Tables that `restore-export` may make and fill, as database/table; a table of * is every table of the database."
  type        = list(string)
  default     = ["ts_migration_restored/*"]
}

variable "cutover" {
  description = "ARNs of what the actions of a cutover may change; empty lists allow nothing."
  type = object({
    lambda_functions = optional(list(string), [])
    apis             = optional(list(string), [])
    ssm_parameters   = optional(list(string), [])
    secrets          = optional(list(string), [])
    dashboards       = optional(list(string), [])
    topics           = optional(list(string), [])
  })
  default = {}
}

variable "alarm_emails" {
  description = "Addresses that the topic writes to; each has to confirm."
  type        = list(string)
  default     = []
}

variable "metrics_namespace" {
  description = "CloudWatch namespace of the migration's metrics."
  type        = string
  default     = "ts-migration"
}

variable "poll_seconds" {
  description = "How often the state machine asks how the migration does. An execution may have 25,000 events, 9 of them a look."
  type        = number
  default     = 300
}

variable "timeout_hours" {
  description = "After so many hours the state machine gives up watching; the migration goes on."
  type        = number
  default     = 168

  validation {
    condition     = var.timeout_hours * 3600 / var.poll_seconds < 2700
    error_message = "An execution ends at 25,000 events, 2,700 looks: raise poll_seconds or lower timeout_hours."
  }
}

variable "log_retention_days" {
  description = "How long log groups keep what they are told."
  type        = number
  default     = 90
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
