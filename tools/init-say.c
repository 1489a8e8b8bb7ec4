/* SPDX-License-Identifier: Apache-2.0 */
/* What coffer init says: the verifier key, what to keep where, and the next command. */
#include "tools/init.h"
#include "tools/mount-say.h"
#include "tools/output.h"

#include <ctype.h>
#include <stdio.h>

static void clean(struct cof_buf *b, const char *s)
{
	for (; *s; s++) {
		bool fine = isalnum((unsigned char)*s) || strchr("._-", *s);

		cof_buf_add(b, fine ? s : "-", 1);
	}
}

char *default_origin(const char *host, const char *store)
{
	struct cof_buf b = {0};
	const char *slash = strrchr(store, '/');

	clean(&b, *host ? host : "localhost");
	cof_buf_add(&b, "/", 1);
	clean(&b, slash && slash[1] ? slash + 1 : "archive");
	if (b.failed) {
		cof_buf_done(&b);
		return NULL;
	}
	return (char *)b.data;
}

static void say_mount(const struct init *in)
{
	const struct opener_args *a = &in->opener_args;
	const char *key = a->new_key_file ? a->new_key_file : a->key_file;
	cof_autofree char *point = mount_point_of(in->store),
			  *real = key ? realpath(key, NULL) : NULL;
	cof_autofree char *option = NULL;
	cof_autofree char *store_word = shell_word(in->store), *point_word = NULL,
			  *option_word = NULL;
	cof_autofree char *store_tab = fstab_word(in->store), *point_tab = NULL, *option_tab = NULL;
	bool by_hand = in->tpm2 ? a->pin && !a->credential : !real && !a->credential;

	if (mount_option(a, in->tpm2, real, &option) < 0 || !point)
		return;
	point_word = shell_word(point);
	point_tab = fstab_word(point);
	option_word = shell_word(option);
	option_tab = fstab_word(option);
	if (!store_word || !store_tab || !point_word || !point_tab || !option_word || !option_tab)
		return;
	printf("\nMount it:\n  mkdir -p %s\n  mount -t coffer %s %s%s%s\n", point_word, store_word,
	       point_word, *option ? " -o " : "", *option ? option_word : "");
	printf("or with a line in /etc/fstab:\n  %s %s coffer %s%s%s 0 0\n", store_tab, point_tab,
	       *option ? option_tab : "", *option ? "," : "", by_hand ? "noauto" : "nofail");
	if (by_hand)
		printf("(with a %s it is mounted by hand: mount %s)\n", in->tpm2 ? "PIN" : "passphrase",
		       point_word);
}

static void say_opener(const struct init *in)
{
	const struct opener_args *a = &in->opener_args;
	const char *key = a->new_key_file ? a->new_key_file : a->key_file;
	cof_autofree char *shown = key ? escaped(key) : NULL;

	if (in->tpm2) {
		printf("It is opened by the TPM of this machine%s.%s\n", a->pin ? " and the PIN" : "",
		       in->recovery.n ? ""
				      : " Without that TPM nothing in the archive can be\nread: add another "
					"opener (coffer seal add).");
		if (!a->pin && opener_pcrs(a) == 1u << 7)
			printf("PCR 7 alone says that Secure Boot is set as now, not what was started: "
			       "who takes the\nwhole machine can start another system on it and open the "
			       "archive. --pin, or PCRs of\nkernel, command line and initrd (4,7,9,11), "
			       "close that.\n");
	} else if (shown)
		printf(
		    "It is opened by the key file %s%s. Without that file nothing in the archive\n"
		    "can be read; keep a copy away from this host.\n",
		    shown, a->new_key_file ? ", made just now" : "");
	else
		printf("It is opened by the passphrase. Without it nothing in the archive can be "
		       "read.\n");
}

static void say_recovery(const struct init *in)
{
	if (in->recovery.epoch)
		printf("A quorum of the epoch's custodians opens the recovery envelope (seal/recovery.age): coffer recover "
		       "--shares.\nThat it can was tried when the epoch was made; put copies of the envelope and of the epoch's "
		       "document\ninto the kit.\n");
	else if (in->recovery.n == 1)
		printf("One person opens the recovery envelope (seal/recovery.age), and with it the archive: "
		       "keep\nthat identity as safe as the archive, and away from this host.\n");
	else if (in->recovery.n)
		printf("One person opens the recovery envelope (seal/recovery.age), any of %zu, and with it "
		       "the archive:\nkeep those identities as safe as the archive, and away from this "
		       "host.\n",
		       in->recovery.n);
	if (in->recovery.n && !in->recovery.n_identities && !in->recovery.epoch)
		printf("It was tried, but not with an identity (--recovery-test): that somebody has one is for "
		       "you to see.\n");
	if (!in->recovery.n && !in->no_recovery)
		printf("Warning: there is no recovery envelope (--recovery age1...): with every opener lost, all "
		       "is lost.\n");
}

static void say_auditor(const struct init *in)
{
	cof_autofree char *shown = in->auditor ? escaped(in->auditor) : NULL;

	if (shown)
		printf("The auditor secret is in %s. Take it away from this host now: whoever\n"
		       "holds it can forge the seal that it checks.\n",
		       shown);
	if (in->auditors.n)
		printf("The auditor secret is sealed to %zu auditor%s in seal/auditor.age: coffer verify "
		       "--auditor-key\nFILE, with an identity kept away from this host; keep a copy of that "
		       "file elsewhere, too.\n",
		       in->auditors.n, plural(in->auditors.n));
	if (!shown && !in->auditors.n)
		printf("Warning: nobody holds the auditor secret (--auditor age1..., or --auditor-secret FILE): "
		       "seal tags\nof this archive cannot be recomputed by anybody.\n");
}

void init_say(const struct init *in, const struct cof_conf *conf)
{
	cof_autofree char *store = escaped(in->store), *point = mount_point_of(in->store);
	char vkey[COF_VKEY_MAX];

	cof_vkey_text(&conf->vkey, vkey);
	printf("Made an archive%s in %s with %zu %s:", in->flags & COF_ARCHIVE_TRIAL ? " for trials, to be thrown away," : "",
	       store ? store : "?", in->n_shelves,
	       in->n_shelves == 1 ? "shelf" : "shelves");
	for (size_t i = 0; i < in->n_shelves; i++) {
		cof_autofree char *name = escaped_word(in->shelves[i].name);

		printf(" %s", name ? name : "?");
	}
	if (in->profile_name)
		printf("\nIts policy is that of the profile %s: coffer policy show, coffer compliance, coffer due.",
		       in->profile.archive.profile);
	printf("\n\nIts verifier key (vkey); keep a copy elsewhere, for coffer verify --vkey:\n  "
	       "%s\n\n",
	       vkey);
	say_opener(in);
	say_recovery(in);
	say_auditor(in);
	say_mount(in);
	if (in->profile_name && point)
		init_say_sources(in, point);
}
