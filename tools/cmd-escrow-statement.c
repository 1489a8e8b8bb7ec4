/* SPDX-License-Identifier: Apache-2.0 */
/* coffer escrow statement: what a custodian of the TPM road reads before signing. Needs no archive, no TPM and no network. */
#include "tools/coffer.h"
#include "tools/output.h"
#include "tools/tpm-road.h"

#include <getopt.h>

enum { OPT_OUTPUT };

static const struct tool_option options[] = {
    [OPT_OUTPUT] = {"output", "FILE", "where the bytes that are signed go; a new file", true, 'o'},
    {0},
};

static int take(void *user, int option COF_UNUSED)
{
	*(const char **)user = optarg;
	return EXIT_OK;
}

static int run(const struct verb *self, int argc, char **argv)
{
	const char *output = NULL;
	struct cof_diag diag = {""};
	int code = options_take(self, argc, argv, take, &output, 1);

	if (code >= 0)
		return code;
	if (!output)
		return misuse("--output FILE is wanted");
	if (cof_crypto_init(1u << 20, &diag) < 0 || tpm_road_show(argv[optind], output, &diag) < 0)
		return failure(&diag);
	return EXIT_OK;
}

const struct verb verb_escrow_statement = {
    .name = "escrow statement",
    .args = "STATEMENT",
    .summary = "what a custodian signs for a TPM",
    .text = "For a custodian whose signature a TPM asks for (coffer escrow recover --tpm-key): shows what the statement's bytes mean, "
	    "put together once more from its facts and compared, and writes the 100 bytes that are to be signed. Do it on a device of your "
	    "own; no archive, TPM or network is needed, and the key may be a token's:\n"
	    "\n"
	    "Example:\n"
	    "  coffer escrow statement statement.json -o message\n"
	    "  openssl dgst -sha256 -sign alice.pem -out alice.sig message\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or not to be signed, 2 wrong usage.",
    .options = options,
    .run = run,
    .takes_files = true,
};
