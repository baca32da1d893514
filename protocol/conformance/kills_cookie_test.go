package conformance_test

var cookieKills = killers{
	"cookie/mac1/wrong-is-silent":       {core("answer-bad-mac1"), core("skip-mac1")},
	"cookie/load/no-cookie-no-response": {core("never-under-load")},
}
