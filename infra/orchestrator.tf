data "archive_file" "orchestrator" {
  type        = "zip"
  source_dir  = "${path.module}/orchestrator"
  output_path = "${path.module}/.terraform/orchestrator.zip"
  excludes    = ["__pycache__"]
}

resource "aws_lambda_function" "orchestrator" {
  function_name    = local.function_name
  description      = "Starts, reads and cancels a migration through Dagster's GraphQL API."
  role             = aws_iam_role.orchestrator.arn
  runtime          = "python3.12"
  architectures    = ["arm64"]
  handler          = "handler.handler"
  filename         = data.archive_file.orchestrator.output_path
  source_code_hash = data.archive_file.orchestrator.output_base64sha256
  timeout          = 120
  memory_size      = 256

  environment {
    variables = merge(
      { DAGSTER_URL = trimsuffix(var.dagster_url, "/") },
      var.dagster_headers_secret_arn == null ? {} : { DAGSTER_HEADERS_SECRET_ARN = var.dagster_headers_secret_arn },
    )
  }

  dynamic "vpc_config" {
    for_each = length(var.subnet_ids) > 0 ? [true] : []

    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }

  # Lambda would make the group itself, without a retention.
  depends_on = [aws_cloudwatch_log_group.orchestrator, aws_iam_role_policy.orchestrator]
}

data "aws_iam_policy_document" "orchestrator_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "orchestrator" {
  name               = "${var.name}-orchestrator"
  description        = "The orchestrator Lambda: its log, and nothing of the migration; Dagster does the work."
  assume_role_policy = data.aws_iam_policy_document.orchestrator_trust.json
}

data "aws_iam_policy_document" "orchestrator" {
  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.orchestrator.arn}:*"]
  }

  dynamic "statement" {
    for_each = var.dagster_headers_secret_arn == null ? [] : [var.dagster_headers_secret_arn]

    content {
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [statement.value]
    }
  }
}

resource "aws_iam_role_policy" "orchestrator" {
  name   = "orchestrator"
  role   = aws_iam_role.orchestrator.id
  policy = data.aws_iam_policy_document.orchestrator.json
}

resource "aws_iam_role_policy_attachment" "orchestrator_vpc" {
  count = length(var.subnet_ids) > 0 ? 1 : 0

  role       = aws_iam_role.orchestrator.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole"
}
