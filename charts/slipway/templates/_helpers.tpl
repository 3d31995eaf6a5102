{{- /* Services are named after it, and theirs are the strictest of names: no dot, and a letter first. */ -}}
{{- define "slipway.fullname" -}}
{{- $long := contains .Chart.Name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) -}}
{{- $name := .Values.fullnameOverride | default $long -}}
{{- if not (regexMatch "^[a-z][-a-z0-9]*$" $name) -}}
{{- fail (printf "no Service may be called %s-gateway: a name has lower-case letters, digits and hyphens, and a letter first. Call the release something else than %s, or set fullnameOverride." $name .Release.Name) -}}
{{- end -}}
{{- $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- /* Cluster-scoped names carry the namespace: what is there says whose it is. */ -}}
{{- define "slipway.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "slipway.fullname" .) | trunc 100 | trimSuffix "-" -}}
{{- end -}}

{{- /* One release per cluster: each has a Lease of its own, so the operators of two would undo each other's writes for
       ever. ClusterRoleBindings are few, and name the release and its namespace. `lookup` finds nothing in helm template. */ -}}
{{- define "slipway.onlyOne" -}}
{{- range (lookup "rbac.authorization.k8s.io/v1" "ClusterRoleBinding" "" "").items -}}
{{- $labels := .metadata.labels | default dict -}}
{{- $subject := first (.subjects | default list) | default dict -}}
{{- if and (eq (index $labels "app.kubernetes.io/part-of" | default "") "slipway") (hasSuffix "-operator" .metadata.name) -}}
{{- $name := index $labels "app.kubernetes.io/instance" -}}
{{- if or (ne $name $.Release.Name) (ne $subject.namespace $.Release.Namespace) -}}
{{- fail (printf "Slipway is installed in this cluster already, as release %s in namespace %s, and two operators would undo each other's writes: upgrade that one (helm upgrade %s ... -n %s), or remove it first (helm uninstall %s -n %s; jobs and services stay)." $name $subject.namespace $name $subject.namespace $name $subject.namespace) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "slipway.labels" -}}
app.kubernetes.io/part-of: slipway
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "slipway.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
{{- end -}}

{{- /* The labels of what a selector chooses. Not both of the above: each has the instance, and a key may come once. */ -}}
{{- define "slipway.partLabels" -}}
app.kubernetes.io/name: {{ .name }}
{{ include "slipway.labels" .root }}
{{- end -}}

{{- /* How a pod is scraped, unless the user's own annotations say otherwise. */ -}}
{{- define "slipway.podAnnotations" -}}
{{- $annotations := dict "prometheus.io/scrape" "true" "prometheus.io/port" .port "prometheus.io/path" "/metrics" -}}
{{- range $key, $value := .more }}{{ $_ := set $annotations $key $value }}{{ end -}}
{{- toYaml $annotations -}}
{{- end -}}

{{- define "slipway.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "slipway.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "slipway.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "slipway.gatewayURL" -}}
{{- if .Values.gateway.enabled -}}
http://{{ include "slipway.fullname" . }}-gateway.{{ .Release.Namespace }}.svc{{ if ne (int .Values.gateway.service.port) 80 }}:{{ .Values.gateway.service.port }}{{ end }}
{{- end -}}
{{- end -}}

{{- /* nvidia=2.49,cpu=0.04: those that have a price. */ -}}
{{- define "slipway.prices" -}}
{{- $told := list -}}
{{- range $accelerator, $price := .Values.prices.perDeviceHour -}}
{{- if $price }}{{ $told = append $told (printf "%s=%s" $accelerator $price) }}{{ end -}}
{{- end -}}
{{- join "," $told -}}
{{- end -}}
