/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles: what is accepted and what is not, with its line; canonical text; what is weaker; those that ship. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>

#include "fs/rules/profile.h"

TCase *profile_case(void);

static int parse(const char *text, struct cof_profile_file *ret, struct cof_diag *diag)
{
	return cof_profile_parse(text, strlen(text), ret, diag);
}

static struct cof_profile archive_of(const char *keys)
{
	cof_autobuf struct cof_buf text = {0};
	struct cof_profile_file f;
	struct cof_profile p;
	struct cof_diag d = {""};

	cof_buf_printf(&text, "[archive]\nrsa_bits = 2048\n%s\n", keys);
	ck_assert_msg(parse((char *)text.data, &f, &d) == 0, "%s: %s", keys, d.text);
	p = f.archive;
	cof_profile_file_done(&f);
	return p;
}

/* ---- refused ---- */

static const struct {
	const char *text, *says;
} refused[] = {
    {"level = 1\n", "line 1: level stands in no part"},
    {"[archive]\nlevel = 5\n", "line 2: '5' is no value of level; it takes a number from 0 to 4"},
    {"[archive]\nlevel = 1\n\nlevel = 2\n", "line 4: level is given twice"},
    {"[archive]\nlevels = 1\n", "line 2: [archive] has no key 'levels'"},
    {"[archive]\npersons = 1\n", "a number from 2 to 16"},
    {"[archive]\npersons = 2x\n", "a number from 2 to 16"},
    {"[archive]\nreview = 30\n", "line 2: '30' is no value of review; it takes a span"},
    {"[archive]\nreview = infinite\n", "a span"},
    {"[archive]\ndeviation = 0s\n", "not 0s"},
    {"[archive]\nopeners =\n", "one or more words out of tpm2 passphrase file"},
    {"[archive]\nopeners = tpm2 pin\n", "words out of"},
    {"[archive]\nincident_to = a b a\n", "each once"},
    {"[archive]\nforbidden_jurisdictions = KP, IR\n", "codes of ISO 3166"},
    {"[archive]\nforbidden_jurisdictions = kp\n", "codes of ISO 3166"},
    {"[archive]\nforbidden_jurisdictions = US-CALI\n", "codes of ISO 3166"},
    {"[archive]\nmeasured_boot = maybe\n", "yes or no"},
    {"[archive]\ntls = 1.1\n", "1.2 or 1.3"},
    {"[archive]\nlockout = 2\n", "a number from 3"},
    {"[archive]\napprove_redact = 1 auditor\n", "a number of persons"},
    {"[archive]\napprove_redact = auditor\n", "a number of persons"},
    {"[archive]\napprove_redact = 2 Auditor\n", "a number of persons"},
    {"[archive]\npersons = 3\n", "approve_redact asks for fewer persons than persons = 3"},
    {"[archive]\nexclusive = auditor\n", "'auditor' is no pair of two roles"},
    {"[archive]\nexclusive = auditor+auditor\n", "no pair of two roles"},
    {"[archive]\nexclusive = officer+operator +a\n", "'+a' is no pair"},
    {"[archive]\ncoverage_by = A.14.33=officer\n", "'A.14.33=officer' begins with no kind of the catalogue"},
    {"[archive]\ncoverage_by = A.14.3\n", "'A.14.3' begins with no kind"},
    {"[archive]\ncoverage_by = A.14.3=officer A.14.4=\n", "'A.14.4=' names no person"},
    {"[archive]\ncoverage_by = A.14.3=an/officer\n", "names no person and no role"},
    {"[archive]\nincident_least = 3\nincident_pass_on = 2\n", "below incident_least"},
    {"[archive]\ncompromise_within = 1h\n", "compromise_to"},
    {"[archive]\n", "line 1: a part without a key"},
    {"[archive]\nlevel = 1\n[shelf a]\n# nothing\n[shelf b]\nrefuse = rofs\n", "line 3: a part without a key"},
    {"[shelf a]\nrefuse = rofs\n\n[shelf a]\nstaging = no\n", "line 4: [shelf a] is there twice"},
    {"[shelf a/b]\nrefuse = rofs\n", "line 2: 'a/b' cannot be the name of a shelf"},
    {"[shelf ..]\nrefuse = rofs\n", "cannot be the name"},
    {"[shelf aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\nrefuse = rofs\n", "at most 43 bytes"},
    {"[shelves a]\nrefuse = rofs\n", "line 2: [shelves a] is neither [archive] nor [shelf NAME]"},
    {"[archive]\nlevel = 1\n[shelf a]\n\nrefuse = maybe\n", "[shelf a]: policy, line 5: 'maybe' is no value of refuse"},
    {"[shelf a]\nretention_min = 1y\n", "[shelf a]: policy: retention_min needs a retention"},
    {"[archive]\nlevel = 1\nnonsense\n", "line 3 is neither"},
};

START_TEST(refuses)
{
	struct cof_profile_file f = {.n_shelves = 5};
	struct cof_diag d = {""};

	ck_assert_int_eq(parse(refused[_i].text, &f, &d), -EUCLEAN);
	ck_assert_msg(strstr(d.text, refused[_i].says) != NULL, "'%s' instead of '%s'", d.text, refused[_i].says);
	ck_assert(f.n_shelves == 5 && !f.shelves);
}
END_TEST

/* ---- text ---- */

START_TEST(says_itself)
{
	static const char *const texts[] = {
	    "", "level = 4\nopeners = tpm2\nhardware_officers = yes\ntls = 1.3\n",
	    "exclusive =  auditor+operator   officer+auditor \nincident_within_3 = 60min\nsuccessor = The other one, Ltd.\n"};
	cof_autobuf struct cof_buf one = {0}, two = {0};
	struct cof_profile p = archive_of(texts[_i]);
	struct cof_profile_file f;

	ck_assert_int_eq(cof_profile_text(&p, &one), 0);
	ck_assert_int_eq(cof_profile_parse((char *)one.data, one.len, &f, NULL), 0);
	ck_assert_int_eq(cof_profile_text(&f.archive, &two), 0);
	ck_assert_str_eq((char *)one.data, (char *)two.data);
	/* Every key is there. */
	for (size_t i = 0; i < cof_profile_keys(); i++) {
		cof_autobuf struct cof_buf value = {0}, line = {0};

		ck_assert_int_eq(cof_profile_value(&p, cof_profile_key(i), &value), 0);
		cof_buf_printf(&line, "\n%s =%s%s\n", cof_profile_key(i), value.len ? " " : "", value.len ? (char *)value.data : "");
		ck_assert_msg(strstr((char *)one.data, (char *)line.data) != NULL, "%s", (char *)line.data);
	}
	cof_profile_file_done(&f);
}
END_TEST

START_TEST(shelves_and_questions)
{
	static const char text[] = "[archive]\nexclusive = auditor+operator officer+custodian\nincident_within_2 = 1h\n"
				   "[shelf audit logs]\nretention = 10y\nrecord_kind = log # 1\n[shelf b]\nautocommit = 1d\n";
	struct cof_profile_file f;
	struct cof_diag d = {""};

	ck_assert_msg(parse(text, &f, &d) == 0, "%s", d.text);
	ck_assert_uint_eq(f.n_shelves, 2);
	ck_assert_str_eq(f.shelves[0].name, "audit logs");
	ck_assert_str_eq(f.shelves[0].policy.record_kind, "log # 1");
	ck_assert(f.shelves[0].policy.retention && !f.shelves[1].policy.retention);
	ck_assert(f.archive.incident_within[1] == 3600 * COF_NSEC && f.archive.incident_within[2] == 0);
	ck_assert(cof_profile_excludes(&f.archive, "auditor", "operator"));
	ck_assert(cof_profile_excludes(&f.archive, "operator", "auditor"));
	ck_assert(cof_profile_excludes(&f.archive, "custodian", "officer"));
	ck_assert(!cof_profile_excludes(&f.archive, "auditor", "officer"));
	ck_assert(!cof_profile_excludes(&f.archive, "auditor", "opera"));
	ck_assert(cof_profile_has("a bc", "bc") && !cof_profile_has("a bc", "b") && !cof_profile_has("a", ""));
	cof_profile_file_done(&f);
}
END_TEST

/* ---- what is weaker ---- */

static const struct {
	const char *from, *to, *key; /* key: what is weaker, or NULL */
} changes[] = {
    {"", "", NULL},
    {"review = 30d", "review = 20d", NULL},
    {"review = 30d", "review = 31d", "review"},
    {"review = 30d", "", "review"},
    {"", "review = 30d", NULL},
    {"rekey_root = 90d", "rekey_root = 91d", NULL},
    {"rekey_root = 90d", "rekey_root = 89d", "rekey_root"},
    {"persons = 2", "persons = 3\napprove_redact = 3 auditor\napprove_clock = 3 officer\napprove_people = 3\n"
		    "approve_profile = 3\napprove_destroy = 3 auditor", NULL},
    {"approve_clock = 3", "approve_clock = 2", "approve_clock"},
    {"approve_clock = 2 officer", "approve_clock = 3", "approve_clock"},
    {"approve_clock = 2 officer", "approve_clock = 2 auditor officer", NULL},
    {"openers = tpm2", "openers = tpm2 file", "openers"},
    {"openers = tpm2 file", "openers = file", NULL},
    {"jurisdictions = TW", "", "jurisdictions"},
    {"", "jurisdictions = TW", NULL},
    {"jurisdictions = TW KR", "jurisdictions = KR", NULL},
    {"jurisdictions = TW", "jurisdictions = KR", "jurisdictions"},
    {"", "forbidden_jurisdictions = KP", NULL},
    {"forbidden_jurisdictions = KP IR", "forbidden_jurisdictions = US-CA IR KP", NULL},
    {"forbidden_jurisdictions = KP IR", "forbidden_jurisdictions = KP", "forbidden_jurisdictions"},
    {"forbidden_jurisdictions = KP", "", "forbidden_jurisdictions"},
    {"incident_to = a b", "incident_to = b c a", NULL},
    {"incident_to = a b", "incident_to = a", "incident_to"},
    {"exclusive = a+b", "", "exclusive"},
    {"level = 3", "level = 4", NULL},
    {"level = 4", "level = 3", "level"},
    {"lockout = 5", "lockout = 4", NULL},
    {"lockout = 3", "lockout = 4", "lockout"},
    {"incident_least = 2", "incident_least = 1", NULL},
    {"incident_least = 2", "incident_least = 3", "incident_least"},
    {"incident_least = 2", "incident_least = 0", "incident_least"},
    {"incident_least = 0", "incident_least = 4", NULL},
    {"measured_boot = yes", "", "measured_boot"},
    {"network = no", "", "network"},
    {"", "network = no", NULL},
    {"tls = 1.3", "tls = 1.2", "tls"},
    {"tls = 1.2", "tls = 1.3", NULL},
    {"profile = a", "profile = b", "profile"},
    {"profile = a", "", "profile"},
    {"", "profile = b", NULL},
};

static int one_change(void *user, const struct cof_profile_change *change)
{
	cof_buf_printf(user, "%s:%s:%s:%s ", change->key, change->old_value, change->new_value,
		       change->weaker ? "weaker" : "stronger");
	return 0;
}

START_TEST(stronger_only)
{
	struct cof_profile from = archive_of(changes[_i].from), to = archive_of(changes[_i].to);
	cof_autobuf struct cof_buf told = {0};
	const char *key = NULL;
	bool stronger = cof_profile_is_stronger(&from, &to, &key);

	ck_assert_msg(stronger == !changes[_i].key, "%d: '%s' to '%s'", _i, changes[_i].from, changes[_i].to);
	if (!stronger)
		ck_assert_str_eq(key, changes[_i].key);
	ck_assert_int_eq(cof_profile_compare(&from, &to, one_change, &told), 0);
	cof_buf_add(&told, "", 0);
	ck_assert_int_eq(strstr(told.data ? (char *)told.data : "", "weaker") != NULL, !stronger);
	ck_assert(cof_profile_is_stronger(&from, &from, NULL));
}
END_TEST

/* What is stronger than the second is stronger than the first: no two steps lead to a weaker one. */
START_TEST(no_way_round)
{
	struct cof_profile all[2 * COF_COUNT(changes)];
	size_t n = COF_COUNT(all);

	for (size_t i = 0; i < n; i++)
		all[i] = archive_of(i & 1 ? changes[i / 2].to : changes[i / 2].from);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
			for (size_t k = 0; k < n; k++)
				if (cof_profile_is_stronger(&all[i], &all[j], NULL) &&
				    cof_profile_is_stronger(&all[j], &all[k], NULL))
					ck_assert_msg(cof_profile_is_stronger(&all[i], &all[k], NULL), "%zu, %zu, %zu",
						      i, j, k);
}
END_TEST

START_TEST(tells_values)
{
	struct cof_profile from = archive_of("review = 30d"), to = archive_of("review = 60d\nopeners = tpm2");
	cof_autobuf struct cof_buf told = {0};

	ck_assert_int_eq(cof_profile_compare(&from, &to, one_change, &told), 0);
	ck_assert_str_eq((char *)told.data,
			 "review:30d:60d:weaker openers:tpm2 passphrase file:tpm2:stronger ");
}
END_TEST

/* ---- those that ship ---- */

static const struct {
	const char *name, *sources;
	uint32_t level;
	size_t least_shelves;
} ships[] = {
    {"gpki-1", "gpki", 1, 9},  {"gpki-2", "gpki cert", 2, 16}, {"gpki-3", "gpki cert", 3, 16}, {"gpki-4", "gpki cert", 4, 16},
    {"vasp", "vasp", 0, 4},    {"securities", "sec cert", 0, 4}, {"insurance", "ins cert", 0, 4}, {"plain", "", 0, 1},
};

static void load(const char *name, struct cof_profile_file *ret)
{
	char path[512], text[COF_PROFILE_MAX];
	struct cof_diag d = {""};
	size_t n = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/profiles/%s.ini", COFFER_SOURCE, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "%s", path);
	ck_assert_int_eq(cof_read_all(fd, text, sizeof(text), &n), 0);
	close(fd);
	ck_assert_msg(cof_profile_parse(text, n, ret, &d) == 0, "%s: %s", path, d.text);
}

START_TEST(shipped)
{
	struct cof_profile_file f;
	struct cof_profile plain;

	load(ships[_i].name, &f);
	cof_profile_default(&plain);
	ck_assert_str_eq(f.archive.profile, ships[_i].name);
	ck_assert_str_eq(f.archive.sources, ships[_i].sources);
	ck_assert_uint_eq(f.archive.level, ships[_i].level);
	ck_assert_uint_ge(f.n_shelves, ships[_i].least_shelves);
	for (size_t i = 0; i < f.n_shelves; i++)
		ck_assert_msg(f.shelves[i].policy.record_kind[0] || !ships[_i].sources[0], "%s: %s", ships[_i].name,
			      f.shelves[i].name);
	cof_profile_file_done(&f);
}
END_TEST

/* Each level promises what the one below does: who goes up needs nobody. */
START_TEST(levels_rise)
{
	struct cof_profile_file below, above;
	const char *key = NULL;
	char name[16];

	load("gpki-1", &below);
	for (int level = 2; level <= 4; level++) {
		snprintf(name, sizeof(name), "gpki-%d", level);
		load(name, &above);
		snprintf(above.archive.profile, sizeof(above.archive.profile), "%s", below.archive.profile);
		ck_assert_msg(cof_profile_is_stronger(&below.archive, &above.archive, &key), "%s: %s", name, key);
		ck_assert_uint_ge(above.n_shelves, below.n_shelves);
		cof_profile_file_done(&below);
		below = above;
	}
	cof_profile_file_done(&below);
}
END_TEST

TCase *profile_case(void)
{
	TCase *c = tcase_create("profile");

	tcase_add_loop_test(c, refuses, 0, COF_COUNT(refused));
	tcase_add_loop_test(c, says_itself, 0, 3);
	tcase_add_test(c, shelves_and_questions);
	tcase_add_loop_test(c, stronger_only, 0, COF_COUNT(changes));
	tcase_add_test(c, no_way_round);
	tcase_add_test(c, tells_values);
	tcase_add_loop_test(c, shipped, 0, COF_COUNT(ships));
	tcase_add_test(c, levels_rise);
	return c;
}
