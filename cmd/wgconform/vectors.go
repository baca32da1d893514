package main

import (
	"github.com/spf13/cobra"

	"github.com/purewire/purewire/protocol/conformance/bringup"
)

func (p *program) vectorsCommand() *cobra.Command {
	var asJSON bool
	var seed uint64
	c := &cobra.Command{
		Use:   "vectors",
		Short: "Print test vectors: handshakes with every intermediate value, KDF, macs, cookies, low-order points",
		Long: `Print test vectors for those who write an implementation: whole handshakes with every intermediate value and
the messages that follow, the parts that they are made of, and messages that must be refused. The same seed gives the
same vectors. docs/vectors.schema.json describes the JSON.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v, err := bringup.NewVectors(seed)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(p.stdout, v)
			}
			return bringup.WriteVectors(p.stdout, v)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON (docs/vectors.schema.json)")
	c.Flags().Uint64Var(&seed, "seed", defaultSeed, "`number` that decides all keys")
	return c
}
