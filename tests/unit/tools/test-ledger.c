/* SPDX-License-Identifier: Apache-2.0 */
/* Records of escrow as events, as coffer due and compliance take them: which shelf each is of, whether a path names it or not. */
#include "test-tools.h"

#include "tools/escrow-ledger.h"

#include <stdio.h>

#define KEY "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct ledger l;
static unsigned sequence;

static void setup(void)
{
	l = (struct ledger){.n_records = 0};
	sequence = 10;
}

static void teardown(void)
{
	escrow_ledger_done(&l);
}

/* path: of the file that it is about, or NULL. more: NAME=VALUE, with blanks between. */
static void event(const char *what, const char *path, unsigned shelf, const char *epoch_key, const char *more)
{
	cof_autojson struct cof_json *o = cof_json_object(), *rest = NULL;
	char type[40], name[32];

	snprintf(type, sizeof(type), "escrow-%s", what);
	cof_json_set_str(o, "event", type);
	cof_json_set_str(o, "what", what);
	cof_json_set_uint(o, "sequence", sequence++);
	cof_json_set_time(o, "time", sequence * COF_NSEC);
	cof_json_set_uint(o, "shelf_ino", shelf);
	if (path) {
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(path, "/"), path);
		cof_json_set_str(o, "path", path);
		cof_json_set_str(o, "shelf", name);
	}
	if (epoch_key) {
		cof_json_set_uint(o, "epoch", 1);
		cof_json_set_str(o, "epoch_key", epoch_key);
	}
	while (*more) {
		char key[32] = "", value[80] = "";
		int n = 0;

		ck_assert_int_eq(sscanf(more, "%31[^=]=%79s%n", key, value, &n), 2);
		if (!strcmp(key, "number"))
			cof_json_set_uint(o, "epoch", strtoul(value, NULL, 10));
		else if (!strcmp(key, "of"))
			cof_json_set_uint(o, key, strtoul(value, NULL, 10));
		else if (!strcmp(value, "true"))
			cof_json_set_bool(o, key, true);
		else
			cof_json_set_str(o, key, value);
		more += n + strspn(more + n, " ");
	}
	ck_assert_int_eq(escrow_ledger_add(&l, o), 0);
}

static void two_shelves(void)
{
	event("epoch", "keys/epoch-1.json", 5, KEY, "");
	event("epoch-valid", "keys/epoch-1.json", 5, KEY, "of=10");
	event("epoch", "more/epoch-1.json", 9, OTHER, "");
	event("epoch-valid", "more/epoch-1.json", 9, OTHER, "of=12");
}

/* A revocation has no file, so no path and no name of a shelf. */
START_TEST(revoked)
{
	two_shelves();
	ck_assert_uint_eq(l.n_epochs, 2);
	ck_assert_uint_eq(l.epoch[0].shelf, 5);
	ck_assert_uint_eq(l.epoch[1].shelf, 9);
	ck_assert_ptr_eq(escrow_ledger_current_on(&l, 5, false), &l.epoch[0]);
	ck_assert_ptr_eq(escrow_ledger_current_on(&l, 9, false), &l.epoch[1]);
	event("revoked", NULL, 5, KEY, "");
	ck_assert(l.epoch[0].revoked && !l.epoch[1].revoked);
	ck_assert_ptr_null(escrow_ledger_current_on(&l, 5, false));
	ck_assert_ptr_eq(escrow_ledger_current(&l, false), &l.epoch[1]);
}
END_TEST

/* What is said of a custodian of one shelf says nothing of whom another one calls the same. */
START_TEST(custodians)
{
	two_shelves();
	event("share-destroyed", NULL, 5, KEY, "name=alice");
	ck_assert(escrow_ledger_destroyed(&l, &l.epoch[0], "alice"));
	ck_assert(!escrow_ledger_destroyed(&l, &l.epoch[1], "alice"));
	event("custodian-revoked", NULL, 9, NULL, "name=bob");
	ck_assert(escrow_ledger_revoked(&l, 9, "bob") && escrow_ledger_revoked(&l, 0, "bob"));
	ck_assert(!escrow_ledger_revoked(&l, 5, "bob"));
}
END_TEST

/* The same secret on both: a key's file is of its own shelf's epoch. */
START_TEST(keys)
{
	event("epoch", "keys/epoch-1.json", 5, KEY, "");
	event("epoch", "more/epoch-1.json", 9, KEY, "");
	event("key", "more/k.age", 9, KEY, "key=0123456789abcdef0123456789abcdef");
	ck_assert_uint_eq(l.n_keys, 1);
	ck_assert_uint_eq(l.key[0].shelf, 9);
	ck_assert_uint_eq(l.epoch[0].keys, 0);
	ck_assert_uint_eq(l.epoch[1].keys, 1);
	ck_assert_ptr_eq(escrow_ledger_epoch_of(&l, &l.key[0]), &l.epoch[1]);
}
END_TEST

/* Two that were not used: each stays until a recovery names it, and is found by whom it is to. */
START_TEST(releases)
{
	static const char *const key = "key=0123456789abcdef0123456789abcdef ";
	char more[120];

	event("epoch", "keys/epoch-1.json", 5, KEY, "");
	event("key", "keys/k.age", 5, KEY, key);
	ck_assert_ptr_null(escrow_ledger_release(&l, &l.key[0], NULL));
	for (unsigned i = 0; i < 3; i++) { /* 12, 13, 14 */
		snprintf(more, sizeof(more), "%s to=%s", key, i == 1 ? "ben" : "anna");
		event("release", NULL, 5, NULL, more);
	}
	ck_assert_uint_eq(escrow_ledger_release(&l, &l.key[0], NULL)->sequence, 14);
	ck_assert_uint_eq(escrow_ledger_release(&l, &l.key[0], "ben")->sequence, 13);
	ck_assert_ptr_null(escrow_ledger_release(&l, &l.key[0], "carl"));
	snprintf(more, sizeof(more), "%s of=14 to=anna", key);
	event("recovered", NULL, 5, KEY, more);
	event("recovered", NULL, 5, KEY, more); /* of one that is used: of no other */
	ck_assert_uint_eq(escrow_ledger_release(&l, &l.key[0], NULL)->sequence, 13);
	ck_assert_uint_eq(escrow_ledger_release(&l, &l.key[0], "anna")->sequence, 12);
	snprintf(more, sizeof(more), "%s of=12 to=anna", key);
	event("recovered", NULL, 5, KEY, more);
	ck_assert_ptr_null(escrow_ledger_release(&l, &l.key[0], "anna"));
	ck_assert_uint_eq(escrow_ledger_release(&l, &l.key[0], "ben")->sequence, 13);
	ck_assert_ptr_null(escrow_ledger_release_before(&l, escrow_ledger_release(&l, &l.key[0], NULL)));
}
END_TEST

/* SHA-256 of "one" and of "two" */
#define ONE "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
#define TWO "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3"

/* Of two documents of an epoch the one that was approved, whatever is put here between and after. */
START_TEST(documents)
{
	event("epoch", "keys/epoch-1.json", 5, KEY, "sha256=" ONE);
	ck_assert(escrow_ledger_is_document(&l.epoch[0], "two", 3)); /* not in force: the newest */
	event("epoch", "keys/epoch-1.1.json", 5, KEY, "sha256=" TWO);
	ck_assert_uint_eq(l.epoch[0].sequence, 11);
	event("epoch-valid", "keys/epoch-1.json", 5, KEY, "of=10 sha256=" ONE);
	ck_assert_uint_eq(l.epoch[0].sequence, 10);
	event("epoch", "keys/epoch-1.2.json", 5, KEY, "sha256=" TWO);
	event("epoch-valid", NULL, 5, KEY, "of=13 rehearsal=true");
	ck_assert_uint_eq(l.n_epochs, 1);
	ck_assert_uint_eq(l.epoch[0].sequence, 10);
	ck_assert_uint_eq(l.epoch[0].valid_at, 12);
	ck_assert_str_eq(ledger_text(l.epoch[0].o, "sha256"), ONE);
	ck_assert(escrow_ledger_is_document(&l.epoch[0], "one", 3));
	ck_assert(!escrow_ledger_is_document(&l.epoch[0], "two", 3));
	ck_assert(!escrow_ledger_is_document(&l.epoch[0], "", 0));
}
END_TEST

/* What to practise with nobody approves: it puts nothing else in force, and is in the way of nothing. */
START_TEST(rehearsals)
{
	event("epoch", "keys/epoch-1.json", 5, KEY, "sha256=" ONE);
	event("epoch-valid", NULL, 5, KEY, "of=10 rehearsal=true");
	ck_assert_ptr_null(escrow_ledger_current(&l, false));
	ck_assert_ptr_null(escrow_ledger_current(&l, true));
	event("epoch", "keys/epoch-1.1.json", 5, KEY, "rehearsal=true sha256=" TWO);
	event("epoch-valid", NULL, 5, KEY, "of=12 rehearsal=true");
	ck_assert_ptr_null(escrow_ledger_current(&l, false));
	ck_assert_ptr_eq(escrow_ledger_current(&l, true), &l.epoch[0]);
	event("epoch-valid", "keys/epoch-1.json", 5, KEY, "of=10 sha256=" ONE);
	ck_assert_ptr_eq(escrow_ledger_current(&l, false), &l.epoch[0]);
	ck_assert_ptr_null(escrow_ledger_current(&l, true));
	ck_assert_uint_eq(l.epoch[0].valid_at, 14);
	ck_assert(escrow_ledger_is_document(&l.epoch[0], "one", 3));
	event("epoch", "keys/epoch-2.json", 5, KEY, "number=2 rehearsal=true sha256=" TWO); /* of the same key, by whoever knows it */
	event("epoch-valid", NULL, 5, KEY, "number=2 of=15 rehearsal=true");
	event("epoch", "keys/epoch-3.json", 5, KEY, "number=3 sha256=" TWO);
	ck_assert_uint_eq(l.n_epochs, 3);
	ck_assert_ptr_eq(escrow_ledger_current(&l, true), &l.epoch[1]);
	ck_assert_ptr_eq(escrow_ledger_epoch_with(&l, KEY), &l.epoch[0]);
	event("revoked", NULL, 5, KEY, "");
	ck_assert_ptr_eq(escrow_ledger_epoch_with(&l, KEY), &l.epoch[0]);
}
END_TEST

/* Anybody who may put a document here gives it the number of another: what two had approved is the one of that number. */
START_TEST(numbered)
{
	ck_assert_ptr_null(escrow_ledger_epoch_numbered(&l, 1));
	event("epoch", "keys/epoch-1.json", 5, OTHER, "rehearsal=true");
	event("epoch-valid", NULL, 5, OTHER, "of=10 rehearsal=true");
	event("epoch", "keys/epoch-1.1.json", 5, KEY, "");
	ck_assert_ptr_eq(escrow_ledger_epoch_numbered(&l, 1), &l.epoch[0]);
	event("epoch-valid", "keys/epoch-1.1.json", 5, KEY, "of=12");
	ck_assert_ptr_eq(escrow_ledger_epoch_numbered(&l, 1), &l.epoch[1]);
	event("epoch", "keys/epoch-1.2.json", 5, ONE, "");
	ck_assert_uint_eq(l.n_epochs, 3);
	ck_assert_ptr_eq(escrow_ledger_epoch_numbered(&l, 1), &l.epoch[1]);
	event("revoked", NULL, 5, KEY, "");
	ck_assert_ptr_eq(escrow_ledger_epoch_numbered(&l, 1), &l.epoch[1]); /* of it there are keys, and shares */
	event("epoch-valid", "keys/epoch-1.2.json", 5, ONE, "of=14");
	ck_assert_ptr_eq(escrow_ledger_epoch_numbered(&l, 1), &l.epoch[2]);
	ck_assert_ptr_null(escrow_ledger_epoch_numbered(&l, 2));
}
END_TEST

TCase *ledger_case(void)
{
	TCase *c = tcase_create("ledger");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, revoked);
	tcase_add_test(c, custodians);
	tcase_add_test(c, keys);
	tcase_add_test(c, releases);
	tcase_add_test(c, documents);
	tcase_add_test(c, rehearsals);
	tcase_add_test(c, numbered);
	return c;
}
