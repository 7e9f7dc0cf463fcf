{{- define "gateway.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "gateway.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "gateway.name" . -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "gateway.selector" -}}
app.kubernetes.io/name: {{ include "gateway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "gateway.labels" -}}
{{ include "gateway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "gateway.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "gateway.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "gateway.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "gateway.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "gateway.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: { drop: [ALL] }
{{- end -}}

{{/* A variable whose value stands in a Secret: (list "NAME" "secret" "key" optional). */}}
{{- define "gateway.secretVariable" -}}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef: { name: {{ index . 1 | quote }}, key: {{ index . 2 | quote }}, optional: {{ index . 3 }} }
{{- end -}}

{{/* The variables that every process of the gateway needs: its keys and the login of requests. */}}
{{- define "gateway.secrets" -}}
{{- $names := list "APP_JWT_KEY_SECRET" "SECRET_KEY" "APP_JWT_KEY_SECRET_PREVIOUS" "SECRET_KEY_PREVIOUS" "APP_JWT_PRIVATE_KEY" "APP_JWT_PRIVATE_KEY_PREVIOUS" "GOOGLE_CLIENT_SECRET" "MSFT_CLIENT_SECRET" }}
{{- /* each sign-in provider: where the id of its client is set, the Secret has the client's secret */}}
{{- range $name, $_ := .Values.gateway.env }}
{{- if hasSuffix "_CLIENT_ID" $name }}{{ $names = append $names (printf "%s_SECRET" (trimSuffix "_ID" $name)) }}{{ end }}
{{- end }}
{{- range uniq $names }}
{{ include "gateway.secretVariable" (list . $.Values.existingSecret . (ne . "SECRET_KEY")) }}
{{- end }}
{{ include "gateway.secretVariable" (list "DATABASE_URL" .Values.database.existingSecret .Values.database.urlKey false) }}
{{- if .Values.database.directUrlKey }}
{{ include "gateway.secretVariable" (list "DATABASE_DIRECT_URL" .Values.database.existingSecret .Values.database.directUrlKey false) }}
{{- end }}
{{- end -}}

{{- define "gateway.databaseCaMount" -}}
{{- if .Values.database.caConfigMap }}
- { name: database-ca, mountPath: /etc/mandate-gateway/database, readOnly: true }
{{- end }}
{{- end -}}

{{- define "gateway.databaseCaVolume" -}}
{{- if .Values.database.caConfigMap }}
- name: database-ca
  configMap:
    name: {{ .Values.database.caConfigMap }}
    items: [{ key: {{ .Values.database.caKey | quote }}, path: ca.crt }]
{{- end }}
{{- end -}}

{{/* Egress that requests and migrations both need. */}}
{{- define "gateway.databaseEgress" -}}
- to:
    {{- toYaml .Values.networkPolicy.dns | nindent 4 }}
  ports: [{ protocol: UDP, port: 53 }, { protocol: TCP, port: 53 }]
- ports: [{ protocol: TCP, port: {{ .Values.networkPolicy.database.port }} }]
  {{- with .Values.networkPolicy.database.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* What the schema cannot say of several values together. */}}
{{- define "gateway.checks" -}}
{{- if and .Values.migrations.enabled (not .Values.database.migration.existingSecret) -}}
{{- fail "database.migration.existingSecret is empty: name the Secret with the owner's login, or set migrations.enabled=false and run `mandate-gateway migrate` yourself." -}}
{{- end -}}
{{- if and .Values.routes.existingConfigMap .Values.routes.table -}}
{{- fail "routes.table and routes.existingConfigMap are both set: keep one of them." -}}
{{- end -}}
{{- if not (or .Values.routes.existingConfigMap .Values.routes.table) -}}
{{- fail "routes.table is empty: write the route table there, or name a ConfigMap with the key routes.yaml in routes.existingConfigMap." -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}
{{- fail "ingress.hosts is empty: name the hosts that the ingress serves." -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) -}}
{{- fail "autoscaling.minReplicas is greater than autoscaling.maxReplicas: correct one of them." -}}
{{- end -}}
{{- end -}}
