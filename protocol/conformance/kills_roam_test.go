package conformance_test

var roamKills = killers{
	"roam/data/moves-endpoint":   {core("no-roam")},
	"qos/data/dscp-stays-inside": {core("leak-dscp")},
}
