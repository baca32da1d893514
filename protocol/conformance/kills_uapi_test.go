package conformance_test

import "strings"

var uapiKills = killers{
	"uapi/get/keepalive": {wrap("hides-keepalive", mangle{uapi: answering(func(s string) string {
		return strings.ReplaceAll(s, "persistent_keepalive_interval=", "keepalive=")
	})})},
}
