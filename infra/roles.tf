# One policy and one role a stage, and one role for who runs whole migrations. docs/permissions.md derives the policies.
locals {
  stages = {
    preflight  = "Plan and dry run: reads, and one probe object."
    export     = "UNLOAD of windows, and their manifests."
    conversion = "Export files to line protocol files; S3 alone."
    load       = "Line protocol files to InfluxDB, and the ledger."
    validation = "Both sides read again; verdicts and reports."
    rollback   = "Deletes what a job wrote, and takes its proof back."
    cutover    = "Switches applications over, and back."
    cleanup    = "Deletes bulk objects; proof stays."
    restore    = "Writes kept exports to tables of Timestream."
    messages   = "Notifications and metrics."
    monitor    = "Progress, and the load of the target."
  }

  # What a stage needs beside its own policy.
  token_stages = ["preflight", "load", "validation", "rollback", "cutover"]
  key_stages   = ["preflight", "export", "conversion", "load", "validation", "rollback", "cutover", "restore", "monitor"]

  # Everything that `execute` and `validate` do. Rollback, cutover, cleanup and restore are taken on by somebody, when it is time.
  runner_stages = ["preflight", "export", "conversion", "load", "validation", "messages"]

  policies_of = {
    for stage in keys(local.stages) : stage => concat(
      [stage],
      # Before it switches anything it asks both systems again, and reads all values of the source.
      stage == "cutover" ? ["validation"] : [],
      var.influxdb_token_secret_arn != null && contains(local.token_stages, stage) ? ["token"] : [],
      var.kms_key_arn != null && contains(local.key_stages, stage) ? ["key"] : [],
    )
  }
  attachments = merge([
    for stage, policies in local.policies_of : { for policy in policies : "${stage}/${policy}" => { role = stage, policy = policy } }
  ]...)
  runner_policies = toset(flatten([for stage in local.runner_stages : local.policies_of[stage]]))
}

resource "aws_iam_policy" "stage" {
  for_each = toset(concat(
    keys(local.stages),
    var.influxdb_token_secret_arn == null ? [] : ["token"],
    var.kms_key_arn == null ? [] : ["key"],
  ))

  name        = "${var.name}-${each.key}"
  description = lookup(local.stages, each.key, each.key == "token" ? "Reads the InfluxDB token." : "Uses the key of the export bucket.")
  policy      = module.documents.policies[each.key]
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type = "AWS"
      # Without anybody named, only this account's own administrators, who could change the role anyway.
      identifiers = length(var.trusted_principals) > 0 ? var.trusted_principals : ["arn:${local.partition}:iam::${local.account}:root"]
    }
  }
}

resource "aws_iam_role" "stage" {
  for_each = local.stages

  name               = "${var.name}-${each.key}"
  description        = each.value
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy_attachment" "stage" {
  for_each = local.attachments

  role       = aws_iam_role.stage[each.value.role].name
  policy_arn = aws_iam_policy.stage[each.value.policy].arn
}

resource "aws_iam_role" "runner" {
  name               = "${var.name}-runner"
  description        = "Runs whole migrations: plan to proof, without rollback, cutover and cleanup."
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy_attachment" "runner" {
  for_each = local.runner_policies

  role       = aws_iam_role.runner.name
  policy_arn = aws_iam_policy.stage[each.key].arn
}

# Logs of the processes that run migrations.
data "aws_iam_policy_document" "runner_logs" {
  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:GetLogEvents", "logs:FilterLogEvents"]
    resources = ["${aws_cloudwatch_log_group.runner.arn}:*"]
  }
}

resource "aws_iam_role_policy" "runner_logs" {
  name   = "logs"
  role   = aws_iam_role.runner.id
  policy = data.aws_iam_policy_document.runner_logs.json
}
