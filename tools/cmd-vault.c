/* SPDX-License-Identifier: Apache-2.0 */
/* coffer vault: which vaults an archive has. */
#include "tools/coffer.h"
#include "tools/output.h"
#include "tools/vaults.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#define SECURE_BYTES (1u << 20)

enum { OPT_VKEY, OPT_JSON };

static const struct tool_option options[] = {
    [OPT_VKEY] = {"vkey", "KEY", "of add: the vault's key as its operator tells it; another one is refused. Without this the key that is met "
				 "is taken, and shown"},
    [OPT_JSON] = {"json", NULL, "one JSON array instead of text"},
    {0},
};

struct args {
	const char *vkey;
	bool json;
	struct store store;
	struct cof_json *all;
	uint64_t newest;
};

static void take_option(struct args *a, int option)
{
	if (option == OPT_VKEY)
		a->vkey = optarg;
	else
		a->json = true;
}

/* ---- add ---- */

static int meet(struct args *a, struct vault_entry *e, struct cof_diag *diag)
{
	struct vault_line line = {.pid = 0};
	cof_autobuf struct cof_buf body = {0};
	int r = vault_hello_to(&a->store, e->url, &line, diag);

	if (r < 0)
		return r;
	r = vault_expect(&line.wire, VAULT_STATE, &body, NULL, diag);
	if (r == 0)
		r = vault_state_about(&body, &e->note);
	vault_line_close(&line);
	if (r == -EPROTO || (r == 0 && vault_about_read(e->note, e) < 0))
		r = cof_fail(diag, -EPROTO, "%s does not say which vault it is", e->url);
	free(e->note);
	e->note = NULL;
	return r;
}

static int add(struct args *a, char **operand, struct cof_diag *diag)
{
	struct vault_entry e = {.time = 0}, there;
	struct cof_vkey wanted;
	char vkey[COF_VKEY_MAX];
	int r;

	if (!vault_name_ok(operand[1]))
		return cof_fail(diag, -EINVAL, "'%s' is no name for a vault: letters a to z, digits and -", operand[1]);
	if (a->vkey && cof_vkey_parse(a->vkey, &wanted) < 0)
		return cof_fail(diag, -EINVAL, "--vkey wants a key as coffer-vault status prints it");
	if (strlen(operand[2]) >= sizeof(e.url) || strpbrk(operand[2], "\n\r"))
		return cof_fail(diag, -EINVAL, "the way to the vault is too long");
	snprintf(e.name, sizeof(e.name), "%s", operand[1]);
	snprintf(e.url, sizeof(e.url), "%s", operand[2]);
	r = vault_url_check(e.url, diag);
	if (r == 0)
		r = meet(a, &e, diag);
	if (r < 0)
		return r;
	cof_vkey_text(&e.vkey, vkey);
	if (a->vkey && strcmp(vkey, a->vkey))
		return cof_fail(diag, -EKEYREJECTED, "the vault's key is %s, not the one that was given", vkey);
	if (vault_entry_load(&a->store, e.name, &there, NULL) == 0) {
		bool same = cof_equal(there.vkey.public_key, e.vkey.public_key, 32);

		vault_entry_done(&there);
		if (!same)
			return cof_fail(diag, -EEXIST, "%s has a vault '%s' with another key: choose another name", a->store.path, e.name);
	}
	r = vault_entry_save(&a->store, &e, diag);
	if (r == 0)
		printf("Vault %s is added. Its key%s:\n  %s\n%s%s%sNext: coffer sync %s %s\n", e.name,
		       a->vkey ? "" : ", which its operator should confirm (coffer-vault status DIR)", vkey,
		       *e.place ? "It says that it stands at " : "", e.place, *e.place ? ".\n" : "", a->store.path, e.name);
	return r;
}

/* ---- list ---- */

static int row(void *user, struct vault_entry *e)
{
	struct args *a = user;
	uint64_t behind = a->newest > e->size ? a->newest - e->size : 0;
	char when[32] = "";

	if (e->time)
		cof_time_text((int64_t)e->time * COF_NSEC, when);
	if (a->all) {
		struct cof_json *o = cof_json_object();

		cof_json_set_str(o, "vault", e->name);
		cof_json_set_str(o, "url", e->url);
		cof_json_set_str(o, "place", e->place);
		cof_json_set_str(o, "jurisdiction", e->jurisdiction);
		cof_json_set_uint(o, "size", e->size);
		cof_json_set_uint(o, "behind", behind);
		if (*when)
			cof_json_set_str(o, "confirmed", when);
		cof_json_append(a->all, o);
		return 0;
	}
	printf("%-12s %s%s%s\n", e->name, e->url, *e->place ? "  at " : "", e->place);
	if (*when)
		printf("%-12s confirmed %" PRIu64 " frames at %s; %" PRIu64 " behind\n", "", e->size, when, behind);
	else
		printf("%-12s nothing confirmed yet: coffer sync %s %s\n", "", a->store.path, e->name);
	return 0;
}

static int list(struct args *a, struct cof_diag *diag)
{
	cof_autofree uint8_t *note = NULL;
	struct cof_checkpoint head;
	size_t n = 0;
	int r;

	if (cof_io_load(a->store.io, "checkpoint", COF_NOTE_MAX, &note, &n) == 0 &&
	    cof_checkpoint_open(note, n, &a->store.conf.vkey, &head) == 0)
		a->newest = head.size;
	a->all = a->json ? cof_json_array() : NULL;
	r = vault_entries(&a->store, row, a, diag);
	if (r == 0 && a->json && print_json(a->all, true) < 0)
		r = cof_fail(diag, -ENOMEM, "out of memory");
	cof_json_free(a->all);
	return r;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct args a = {.vkey = NULL};
	struct cof_diag diag = {""};
	char **operand;
	bool adds;
	int option, r;

	while ((option = option_next(self, argc, argv)) >= 0)
		take_option(&a, option);
	if (option != OPTION_END)
		return option_exit(option);
	operand = argv + optind + 1;
	adds = argc > optind && !strcmp(argv[optind], "add");
	if (!adds && (argc <= optind || strcmp(argv[optind], "list")))
		return misuse("add or list comes first");
	if (argc - optind != (adds ? 4 : 2))
		return misuse(adds ? "add wants STORE NAME URL" : "list wants STORE");
	r = cof_crypto_init(SECURE_BYTES, &diag);
	if (r == 0)
		r = store_open(operand[0], &a.store, &diag);
	if (r == 0)
		r = adds ? add(&a, operand, &diag) : list(&a, &diag);
	store_close(&a.store);
	return r < 0 ? failure(&diag) : EXIT_OK;
}

const struct verb verb_vault = {
    .name = "vault",
    .args = "add STORE NAME URL | list STORE",
    .summary = "the vaults far away that keep copies of an archive",
    .text = "A vault is a directory on another host (coffer-vault init) that takes this archive's log, verifies it without any key, keeps "
	    "what it has seen, and signs with a key of its own what that was and when. URL is ssh://[USER@]HOST[:PORT]/DIR, or dir:/DIR for "
	    "one on other disks of this host. COFFER_SSH names another ssh with its options.\n"
	    "\n"
	    "add meets the vault and keeps its key: from then on nothing else counts as its word. list shows for each what it confirmed "
	    "last, and how far it is behind.\n"
	    "\n"
	    "  coffer vault add /srv/ledger kaohsiung ssh://vault@vault.example/srv/vault\n"
	    "\n"
	    "Exit code: 0 done, 1 failed, 2 wrong usage.",
    .options = options,
    .run = run,
    .takes_files = true,
    .actions = "add list",
};
