#!/bin/bash
# Sets the variables of a migration from Terraform's outputs. Source it, so that they stay in your shell:
#   source setup_migration_environment.sh
# What is set already is kept. It never ends your shell: where something is missing it says so and returns 1.
# With the embedded stack it is not needed: ts-migration local up writes ./.env.

_migration_kept() { # NAME: whether the shell or ./.env sets it
    eval "[ -n \"\${$1:-}\" ]" || grep -qsE "^(export )?$1=.+" .env
}

_migration_take() { # NAME OUTPUT: the variable, as it is or from Terraform; else it is told as missing
    local value=""
    if _migration_kept "$1"; then
        return 0
    fi
    value="$(terraform -chdir="$_migration_infra" output -no-color -raw "$2" 2>/dev/null)" || value=""
    case "$value" in
        "" | *[!A-Za-z0-9:/._-]*) # nothing, or words of Terraform's in place of a name
            _migration_missing="$_migration_missing
  $1 (output $2)" ;;
        *) export "$1=$value" ;;
    esac
}

_migration_setup() {
    local project _migration_infra _migration_missing="" next_step
    project="$(cd "$(dirname -- "$1")/.." && pwd)"
    # A plain sh does not tell where the sourced file is: its folder is then that of the project.
    [ -d "$project/infra" ] || [ ! -d infra ] || project="$PWD"
    _migration_infra="${TERRAFORM_DIR:-$project/infra}"
    export AWS_DEFAULT_REGION="${AWS_DEFAULT_REGION:-us-east-1}"

    # Get Terraform outputs
    _migration_take MIGRATION_ORCHESTRATOR_LAMBDA_ARN migration_orchestrator_lambda_arn
    _migration_take MIGRATION_STATE_MACHINE_ARN migration_state_machine_arn
    _migration_take S3_EXPORT_BUCKET migration_export_bucket
    _migration_take NOTIFICATION_TOPIC_ARN migration_notification_topic_arn

    # InfluxDB configuration (export these before). Better than a token in a file: INFLUXDB_TOKEN_SECRET_ARN, a secret
    # of AWS Secrets Manager that holds the token.
    if ! _migration_kept INFLUXDB_ORG; then
        export INFLUXDB_ORG="ons-energy"
    fi
    if ! _migration_kept INFLUXDB_URL; then
        echo "warning: INFLUXDB_URL is not set: export INFLUXDB_URL=https://your-influxdb-endpoint:8086" >&2
    fi
    if ! _migration_kept INFLUXDB_TOKEN && ! _migration_kept INFLUXDB_TOKEN_SECRET_ARN; then
        echo "warning: neither INFLUXDB_TOKEN nor INFLUXDB_TOKEN_SECRET_ARN is set" >&2
    fi

    if [ -n "$_migration_missing" ]; then
        next_step="terraform -chdir=$_migration_infra apply"
        command -v terraform >/dev/null || next_step="install terraform, then $next_step"
        echo "error: Terraform's folder $_migration_infra gives no value for:$_migration_missing
next: $next_step; or export them yourself" >&2
        return 1
    fi
    echo "Migration environment configured successfully"
}

if [ -n "${BASH_VERSION:-}" ] && eval '[ "${BASH_SOURCE[*]: -1}" = "$0" ]'; then
    echo "warning: source this script, it cannot set your shell's variables otherwise" >&2
fi
_migration_status=0
_migration_setup "${BASH_SOURCE:-$0}" || _migration_status=$?
unset -f _migration_kept _migration_take _migration_setup
eval "unset _migration_status; return $_migration_status 2>/dev/null"
