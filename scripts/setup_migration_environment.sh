#!/bin/bash
# Sets the variables of a migration from Terraform's outputs. Source it, so that they stay in your shell:
#   source scripts/setup_migration_environment.sh
# With the embedded stack it is not needed: ts-migration local up writes ./.env.

# Set AWS region
export AWS_DEFAULT_REGION="${AWS_DEFAULT_REGION:-us-east-1}"

# Get Terraform outputs; where the folder or an output is missing, the variable keeps what it was.
_terraform_output() {
    terraform -chdir="${TERRAFORM_DIR:-infra}" output -raw "$1" 2>/dev/null
}

_from_terraform() {
    local value
    if value="$(_terraform_output "$2")" && [ -n "$value" ]; then
        export "$1=$value"
    elif [ -z "${!1}" ]; then
        echo "warning: $1 is not set, and Terraform has no output $2" >&2
    fi
}

_from_terraform MIGRATION_ORCHESTRATOR_LAMBDA_ARN migration_orchestrator_lambda_arn
_from_terraform MIGRATION_STATE_MACHINE_ARN migration_state_machine_arn
_from_terraform S3_EXPORT_BUCKET migration_export_bucket
_from_terraform NOTIFICATION_TOPIC_ARN migration_notification_topic_arn
unset -f _terraform_output _from_terraform

# InfluxDB configuration (set these manually, or export them before; better than a token in a file:
# INFLUXDB_TOKEN_SECRET_ARN, a secret of AWS Secrets Manager that holds the token)
export INFLUXDB_URL="${INFLUXDB_URL:-https://your-influxdb-endpoint:8086}"
export INFLUXDB_ORG="${INFLUXDB_ORG:-ons-energy}"
if [ -z "$INFLUXDB_TOKEN" ] && [ -z "$INFLUXDB_TOKEN_SECRET_ARN" ]; then
    echo "warning: neither INFLUXDB_TOKEN nor INFLUXDB_TOKEN_SECRET_ARN is set" >&2
fi

echo "Migration environment configured"
