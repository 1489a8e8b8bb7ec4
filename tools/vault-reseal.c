/* SPDX-License-Identifier: Apache-2.0 */
/* coffer-vault reseal: the vault's key is sealed anew by a TPM, before or after PCRs change. */
#include "tools/file.h"
#include "tools/output.h"
#include "tools/pcrs.h"
#include "tools/vault-bundle.h"
#include "tools/vault/vault.h"

#include "crypto/age.h"

#include <getopt.h>
#include <stdio.h>
#include <syslog.h>

#define SECURE_BYTES (1u << 20)
#define IDENTITIES 16
#define IDENTITY_FILE (64u << 10)

struct args {
	const char *dir, *next, *identity, *recovery;
	struct vault_sealing seal;
	struct cof_tpm_pcrs pcrs;
	uint8_t recipient[COF_AGE_KEY];
	uint8_t (*identities)[COF_AGE_KEY]; /* secure memory */
	size_t n;
};

static int fail_with(const struct cof_diag *diag)
{
	cof_autofree char *shown = escaped(diag->text);

	complain("%s", shown ? shown : "out of memory");
	return 1;
}

static int misused(const char *what)
{
	fprintf(stderr, "coffer-vault: %s\nSee: coffer-vault --help\n", what);
	return EXIT_USAGE;
}

static int take_args(int argc, char **argv, struct args *a)
{
	static const struct option options[] = {{"tpm", 1, NULL, 't'},	    {"pcrs", 1, NULL, 'p'},	{"next-pcrs", 1, NULL, 'n'},
						{"identity", 1, NULL, 'i'}, {"recovery", 1, NULL, 'r'}, {0}};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (o) {
		case 't': a->seal.tpm = optarg; break;
		case 'p': a->seal.pcrs = optarg; break;
		case 'n': a->next = optarg; break;
		case 'i': a->identity = optarg; break;
		case 'r': a->recovery = optarg; break;
		default: return misused("an option that is not known, or without its value");
		}
	}
	if (argc - optind != 1)
		return misused("one directory is wanted: DIR");
	a->dir = argv[optind];
	if (a->recovery && cof_age_recipient_parse(a->recovery, strlen(a->recovery), a->recipient) < 0)
		return misused("--recovery takes an age recipient: age1 and 58 characters, as age-keygen -y prints it");
	return EXIT_OK;
}

static int load_identities(struct args *a, struct cof_diag *diag)
{
	char *text cof_autosecret = cof_secret_alloc(IDENTITY_FILE);
	FILE *f;
	size_t n;

	a->identities = cof_secret_alloc(IDENTITIES * COF_AGE_KEY);
	if (!text || !a->identities)
		return cof_fail(diag, -ENOMEM, "out of secure memory");
	f = fopen(a->identity, "re");
	if (!f)
		return cof_fail(diag, -errno, "%s: %s", a->identity, strerror(errno));
	setvbuf(f, NULL, _IONBF, 0); /* no copy of it elsewhere */
	n = fread(text, 1, IDENTITY_FILE, f);
	fclose(f);
	return n == IDENTITY_FILE || cof_age_identities_parse(text, n, a->identities, IDENTITIES, &a->n) < 0
		       ? cof_fail(diag, -EINVAL, "%s is no identity file: a line AGE-SECRET-KEY-1..., as age-keygen writes it", a->identity)
		       : 0;
}

int vault_reseal_main(int argc, char **argv)
{
	struct args a = {.n = 0};
	struct cof_diag diag = {""};
	bool filed = false;
	int r, code = take_args(argc, argv, &a);

	if (code != EXIT_OK)
		return code;
	r = cof_crypto_init(SECURE_BYTES, &diag);
	if (r == 0 && a.next) {
		r = pcrs_load(a.next, &a.pcrs, &diag);
		a.seal.next = &a.pcrs;
	}
	if (r == 0 && a.identity)
		r = load_identities(&a, &diag);
	if (a.recovery)
		a.seal.recovery = a.recipient;
	if (r == 0)
		r = vault_place_reseal(a.dir, &a.seal, (const uint8_t(*)[COF_AGE_KEY])a.identities, a.n, &filed, &diag);
	cof_secret_free(a.identities);
	openlog("coffer-vault", LOG_PID, LOG_AUTHPRIV);
	syslog(r < 0 ? LOG_WARNING : LOG_ALERT, "%s: the vault's key was %s%s", a.dir, r < 0 ? "to be sealed anew, and was not: " : "sealed anew",
	       r < 0 ? diag.text : a.identity ? " by an identity" : "");
	if (r < 0)
		return fail_with(&diag);
	printf("The vault's key is sealed anew; it is the same key, and older copies of key.tpm2 open nothing at this TPM.\n");
	if (filed)
		printf("It lay in a file until now, which was overwritten and removed: backups of %s, and what the disk keeps, may have it still.\n", a.dir);
	return EXIT_OK;
}
