{{/* Name of everything that the chart makes. */}}
{{- define "payplane.name" -}}
{{- if contains "payplane" .Release.Name -}}
{{- printf "%s-operator" .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-payplane-operator" .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects the operator's pods. Never changes between versions. */}}
{{- define "payplane.selector" -}}
app.kubernetes.io/name: payplane-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "payplane.labels" -}}
{{ include "payplane.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: payplane
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end -}}

{{- define "payplane.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* Namespaces in which Platforms may live, as a JSON list. */}}
{{- define "payplane.platformNamespaces" -}}
{{- .Values.platformNamespaces | default (list .Release.Namespace) | toJson -}}
{{- end -}}

{{- define "payplane.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "payplane.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}
