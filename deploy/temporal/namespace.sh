#!/bin/sh
# Makes the namespace TEMPORAL_NAMESPACE. Ended runs stay on the server for 30 days; the journal keeps them for good.
set -eu
temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention 30d
