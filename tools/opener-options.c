/* SPDX-License-Identifier: Apache-2.0 */
/* The options that name an opener, with their help: the same in each verb that opens an archive or makes
 * what opens it. */
#include "tools/coffer.h"
#include "tools/opener.h"

#include <getopt.h>

enum { KEY_FILE, PASSPHRASE_FD, CREDENTIAL, SEAL, TPM, NEW_KEY_FILE, PCRS, PIN };

const struct tool_option opener_options[] = {
    [KEY_FILE] = {"key-file", "FILE", "the archive is opened by this key file", true},
    [PASSPHRASE_FD] = {"passphrase-fd", "N",
		       "reads the passphrase, or the PIN of a TPM's seal, from descriptor N instead of the "
		       "terminal, up to its end; one newline there is left out"},
    [CREDENTIAL] = {"credential", "NAME", "the same from the systemd credential NAME"},
    [SEAL] = {"seal", "KIND",
	      "opens by tpm2, passphrase or file. Without it by what else is named, else by the TPM if "
	      "there is such an opener, else by passphrase",
	      .choices = "tpm2,passphrase,file"},
    [TPM] = {"tpm", "WHERE",
	     "where the TPM is: device:/dev/tpmrm0 (the default, or what COFFER_TPM says), "
	     "swtpm:host=H,port=P or the path of a socket",
	     true},
    {0},
};

const struct tool_option opener_new_options[] = {
    [KEY_FILE] = {"key-file", "FILE",
		  "what opens it is this file's content (32 to 4096 bytes). It may not lie in STORE", true},
    [PASSPHRASE_FD] = {"passphrase-fd", "N",
		       "reads the passphrase, or with --pin the PIN, from descriptor N instead of the "
		       "terminal, up to its end; one newline there is left out"},
    [CREDENTIAL] = {"credential", "NAME", "the same from the systemd credential NAME"},
    [SEAL] = {"seal", "KIND",
	      "what opens it: tpm2 (this machine's TPM), passphrase or file. Without it file with "
	      "--key-file or --new-key-file, else passphrase",
	      .choices = "tpm2,passphrase,file"},
    [TPM] = {"tpm", "WHERE",
	     "of tpm2: where the TPM is, device:/dev/tpmrm0 (the default, or what COFFER_TPM says), "
	     "swtpm:host=H,port=P or the path of a socket",
	     true},
    [NEW_KEY_FILE] = {"new-key-file", "FILE",
		      "as --key-file, and makes the file first, with random content and mode 0400", true},
    [PCRS] = {"pcrs", "LIST", "of tpm2: the PCRs that have to be as they are now, such as 0,2,4,7; default 7"},
    [PIN] = {"pin", NULL,
	     "of tpm2: it takes a PIN too, asked for or read as a passphrase is. Wrong ones are counted by "
	     "the TPM, which locks itself"},
    {0},
};

/* ---- values ---- */

int opener_fd(const char *text, int *ret)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || v > 1 << 20)
		return -EINVAL;
	*ret = (int)v;
	return 0;
}

int opener_take_fd(const char *option, int *ret)
{
	return opener_fd(optarg, ret) < 0 ? misuse("%s takes the number of an open descriptor", option)
					  : EXIT_OK;
}

int opener_take_pcrs(uint32_t *ret)
{
	if (cof_tpm_pcrs_parse(optarg, ret, NULL) < 0)
		return misuse("--pcrs takes numbers from 0 to 23 with commas, such as 0,2,4,7; "
			      "16 and 23 guard nothing");
	return EXIT_OK;
}

int opener_take(struct opener_args *a, int option)
{
	switch (option - OPTION_MORE) {
	case KEY_FILE:
		a->key_file = optarg;
		break;
	case PASSPHRASE_FD:
		return opener_take_fd("--passphrase-fd", &a->passphrase_fd);
	case CREDENTIAL:
		a->credential = optarg;
		break;
	case SEAL:
		a->seal = optarg;
		break;
	case TPM:
		a->tpm = optarg;
		break;
	case NEW_KEY_FILE:
		a->new_key_file = optarg;
		break;
	case PCRS:
		return opener_take_pcrs(&a->pcrs);
	case PIN:
		a->pin = true;
		break;
	default:
		break;
	}
	return EXIT_OK;
}

/* ---- what goes together ---- */

bool opener_is_tpm2(const struct opener_args *a)
{
	return a->seal && !strcmp(a->seal, "tpm2");
}

uint32_t opener_pcrs(const struct opener_args *a)
{
	return opener_is_tpm2(a) && !a->pcrs ? 1u << 7 : a->pcrs;
}

const char *opener_conflict(const struct opener_args *a)
{
	int n = !!a->key_file + !!a->new_key_file + !!a->credential + (a->passphrase_fd >= 0);

	if (a->seal && strcmp(a->seal, "tpm2") && strcmp(a->seal, "passphrase") && strcmp(a->seal, "file"))
		return "--seal takes tpm2, passphrase or file";
	if (a->seal && (a->key_file || a->new_key_file) != !strcmp(a->seal, "file"))
		return "--key-file and --new-key-file go with --seal file, and it with one of them";
	return n > 1 ? "only one of --key-file, --new-key-file, --passphrase-fd and --credential "
		       "can open an archive"
		     : "";
}

const char *opener_new_conflict(const struct opener_args *a)
{
	const char *conflict = opener_conflict(a);

	if (*conflict)
		return conflict;
	if (!opener_is_tpm2(a) && (a->pcrs || a->pin || a->tpm))
		return "--pcrs, --pin and --tpm go with --seal tpm2";
	if (opener_is_tpm2(a) && !a->pin && (a->credential || a->passphrase_fd >= 0))
		return "with --seal tpm2 a PIN is read only with --pin";
	return "";
}
