/* SPDX-License-Identifier: Apache-2.0 */
/* coffer people: who may request and approve, shown, checked, and set for the first time. */
#include "tools/coffer.h"
#include "tools/file.h"
#include "tools/output.h"
#include "tools/people.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

enum { OPT_REVOKED, OPT_DIR, OPT_AS, OPT_REASON, OPT_JSON };

static const struct tool_option options[] = {
    [OPT_REVOKED] = {"revoked", "FILE", "check, set: keys that count no more, public keys one a line; not a list of ssh-keygen -k", true},
    [OPT_DIR] = {"output", "DIR", "set: where ID.request and ID.sheet are written (default: here)", true, .letter = 'o'},
    [OPT_AS] = {"as", "NAME", "set: who requests it, where the archive has people already"},
    [OPT_REASON] = {"reason", "TEXT", "set: why; stands in the sheet"},
    [OPT_JSON] = {"json", NULL, "JSON instead of text"},
    {0},
};

struct asking {
	struct people_asking ask;
	const char *revoked, *dir, *as, *reason;
	bool json;
};

static int load_text(const char *path, size_t most, struct cof_buf *ret, struct cof_diag *diag)
{
	int r = file_load(path, most, ret, diag);

	if (r == 0 && ret->len && memchr(ret->data, 0, ret->len))
		return cof_fail(diag, -EUCLEAN, "%s is no text", path);
	return r;
}

/* What people sign is JSON, in which a KRL's bytes cannot stand. */
static int load_revoked(const char *path, struct cof_buf *ret, struct cof_diag *diag)
{
	int r = file_load(path, COF_REVOKED_MAX, ret, diag);

	if (r < 0 || !ret->len || !memchr(ret->data, 0, ret->len))
		return r;
	return cof_fail(diag, -EUCLEAN,
			"%s is no text: a binary list, as ssh-keygen -k writes it, is not taken; write the public keys that "
			"are revoked, one a line, into a file instead",
			path);
}

static int load(const struct asking *a, const char *file, struct cof_buf *text, struct cof_buf *revoked, struct cof_diag *diag)
{
	int r = load_text(file, COF_PEOPLE_MAX, text, diag);

	return r == 0 && a->revoked ? load_revoked(a->revoked, revoked, diag) : r;
}

static const char *text_of(const struct cof_buf *b)
{
	return b->data ? (const char *)b->data : "";
}

static void say(const struct cof_people *p)
{
	char roles[64];

	for (size_t i = 0; i < p->n_persons; i++) {
		cof_roles_text(p->person[i].roles, roles);
		printf("%-24s %s\n", p->person[i].name, roles);
	}
}

static int check(struct asking *a, const char *file, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0}, revoked = {0};
	struct cof_people p = {0};
	struct cof_diag why = {""};
	int r = load(a, file, &text, &revoked, diag);

	if (r < 0)
		return r;
	r = cof_people_parse(text_of(&text), text.len, revoked.data, revoked.len, NULL, &p, &why);
	if (r < 0)
		return cof_fail(diag, r, "%s: %s", file, why.text[0] ? why.text : strerror(-r));
	if (cof_people_count(&p, COF_ROLE_OFFICER) < 2)
		r = cof_fail(diag, -EINVAL, "%s: two officers at least, or nothing could ever be approved", file);
	else if (!a->json)
		say(&p);
	if (r == 0 && !cof_people_count(&p, COF_ROLE_AUDITOR))
		complain("%s: nobody is auditor: nothing that has expired could be removed", file);
	cof_people_done(&p);
	return r;
}

static int show(struct asking *a, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object(), *o = NULL;
	int r = people_ask_one(&a->ask, "people", args, &o, diag);
	const struct cof_json *all;

	if (r < 0)
		return r;
	if (a->json)
		return print_json(o, true) == -ENOMEM ? -ENOMEM : 0;
	all = cof_json_get(o, "persons");
	for (size_t i = 0; i < cof_json_count(all); i++) {
		const struct cof_json *one = cof_json_at(all, i);
		const char *name = cof_json_str(one, "name"), *roles = cof_json_str(one, "roles");
		int64_t keys = 0, hardware = 0, authorities = 0;

		(void)cof_json_int(one, "keys", &keys);
		(void)cof_json_int(one, "hardware", &hardware);
		(void)cof_json_int(one, "authorities", &authorities);
		printf("%-24s %-28s %" PRId64 " key%s%s%s\n", name ? name : "?", roles ? roles : "?", keys, plural((uint64_t)keys),
		       hardware ? ", hardware" : "", authorities ? ", by certificate" : "");
	}
	return 0;
}

static void say_next(const char *path, const char *action)
{
	if (!strcmp(action, "people-first"))
		printf("%s is written, with its sheet. Each officer in it signs:\n"
		       "  ssh-keygen -Y sign -n " COF_SIGN_PEOPLE " -f KEY %s\n"
		       "Then: coffer people accept STORE %s SIGNATURE...\n",
		       path, path, path);
	else
		printf("%s is written, with its sheet. Its author signs:\n"
		       "  ssh-keygen -Y sign -n " COF_SIGN_REQUEST " -f KEY %s\n"
		       "Then: coffer request submit STORE %s\n",
		       path, path, path);
}

static int set(struct asking *a, const char *file, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object(), *o = NULL;
	cof_autobuf struct cof_buf text = {0}, revoked = {0};
	cof_autofree char *path = NULL;
	int r = load(a, file, &text, &revoked, diag);

	if (r < 0)
		return r;
	cof_json_set_str(args, "people", text_of(&text));
	if (revoked.len)
		cof_json_set_str(args, "revoked", text_of(&revoked));
	if (a->as)
		cof_json_set_str(args, "author", a->as);
	if (a->reason)
		cof_json_set_str(args, "reason", a->reason);
	r = people_ask_one(&a->ask, "people-set", args, &o, diag);
	if (r == 0)
		r = people_save(o, a->dir, &path, diag);
	if (r < 0)
		return r;
	if (a->json)
		return print_json(o, true) == -ENOMEM ? -ENOMEM : 0;
	say_next(path, cof_json_str(o, "action") ? cof_json_str(o, "action") : "");
	return 0;
}

static int accept_first(struct asking *a, char **words, int n, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object(), *o = NULL;
	cof_autobuf struct cof_buf document = {0};
	struct cof_json *all = cof_json_array();
	int r = file_load(words[0], COF_REQUEST_MAX, &document, diag);

	people_set_bytes(args, "document", &document);
	for (int i = 1; i < n && r == 0; i++) {
		cof_autobuf struct cof_buf signature = {0};
		struct cof_json *one = cof_json_object();
		const char *equals = strchr(words[i], '=');

		r = file_load(equals ? equals + 1 : words[i], COF_SIGNATURE_MAX, &signature, diag);
		people_set_bytes(one, "signature", &signature);
		if (equals)
			cof_json_set_bytes(one, "principal", words[i], (size_t)(equals - words[i]));
		cof_json_append(all, one);
	}
	cof_json_set(args, "signatures", all);
	if (r == 0)
		r = people_ask_one(&a->ask, "people-first", args, &o, diag);
	if (r < 0)
		return r;
	if (a->json)
		return print_json(o, true) == -ENOMEM ? -ENOMEM : 0;
	printf("These are the people of the archive from now on; they change by an approved request only.\n");
	return 0;
}

static int act(struct asking *a, int argc, char **argv, struct cof_diag *diag)
{
	const char *action = argv[0];
	int r;

	if (!strcmp(action, "check"))
		return check(a, argv[1], diag);
	r = people_open(&a->ask, argv[1], diag);
	if (r == 0)
		r = !strcmp(action, "show")  ? show(a, diag)
		    : !strcmp(action, "set") ? set(a, argv[2], diag)
					     : accept_first(a, argv + 2, argc - 2, diag);
	return people_close(&a->ask, r, diag);
}

static int take_option(struct asking *a, int option)
{
	switch (option) {
	case OPT_REVOKED:
		a->revoked = optarg;
		break;
	case OPT_DIR:
		a->dir = optarg;
		break;
	case OPT_AS:
		a->as = optarg;
		break;
	case OPT_REASON:
		a->reason = optarg;
		break;
	case OPT_JSON:
		a->json = true;
		break;
	default:
		return opener_take(&a->ask.opener, option);
	}
	return EXIT_OK;
}

static int run(const struct verb *self, int argc, char **argv)
{
	static const struct {
		const char *name;
		int least, most;
	} actions[] = {{"show", 2, 2}, {"check", 2, 2}, {"set", 3, 3}, {"accept", 4, -1}};
	struct asking a = {.ask = PEOPLE_ASKING_INIT, .dir = "."};
	struct cof_diag diag = {""};
	const char *conflict;
	int option, code;

	while ((option = option_next(self, argc, argv)) >= 0) {
		code = take_option(&a, option);
		if (code)
			return code;
	}
	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_within(self, argc, argv, 2, -1))
		return EXIT_USAGE;
	for (size_t i = 0;; i++) {
		if (i == COF_COUNT(actions))
			return misuse("show, check, set or accept, not %s", argv[optind]);
		if (strcmp(actions[i].name, argv[optind]) != 0)
			continue;
		if (!operands_within(self, argc, argv, actions[i].least, actions[i].most))
			return EXIT_USAGE;
		break;
	}
	conflict = opener_conflict(&a.ask.opener);
	if (*conflict)
		return misuse("%s", conflict);
	return act(&a, argc - optind, argv + optind, &diag) < 0 ? failure(&diag) : EXIT_OK;
}

const struct verb verb_people = {
    .name = "people",
    .args = "show|check|set|accept STORE|FILE [FILE...]",
    .summary = "who may request and approve: shown, checked, set",
    .text = "People are keys of OpenSSH in an allowed_signers file that is itself in the chain: one principal a line, "
	    "and behind the key roles=… of auditor, custodian, officer, operator, vault.\n"
	    "\n"
	    "show STORE shows those in force. check FILE looks at a file, without an archive. set STORE FILE writes a "
	    "request: for the first people one that each officer in it signs, and that accept STORE ID.request "
	    "SIGNATURE... puts into the chain; later ones are requested like anything else (coffer request).\n"
	    "\n"
	    "Example:\n"
	    "  coffer people set STORE people.txt\n"
	    "  ssh-keygen -Y sign -n coffer-people -f KEY ID.request\n"
	    "  coffer people accept STORE ID.request alice.sig bob.sig\n"
	    "\n"
	    "Exit code: 0 done, 1 failed, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
    .actions = "show check set accept",
};
