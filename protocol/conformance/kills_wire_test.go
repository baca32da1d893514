package conformance_test

var wireKills = killers{
	"wire/reserved/initiation": {core("accept-reserved")},
}
