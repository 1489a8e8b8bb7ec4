/* SPDX-License-Identifier: Apache-2.0 */
/* Transcripts of ceremonies: what is accepted is its lines again byte for byte, says what is missing, and takes a further line or none. */
#include "fuzz.h"

#include "crypto/crypto.h"
#include "fs/rules/ceremony.h"

const unsigned fuzz_runs = 6000;

static const char armored[] = "-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n";

static void ready(void)
{
	static bool done;

	if (!done)
		fuzz_check(cof_crypto_init(1u << 20, NULL) == 0);
	done = true;
}

static int refuse(void *user COF_UNUSED, const struct cof_signature *s COF_UNUSED, struct cof_diag *diag)
{
	return cof_fail(diag, -EKEYREJECTED, "nobody's");
}

static void judge(const struct cof_ceremony *c)
{
	static const char text[] = "anna ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg roles=officer\n"
				   "ben ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAh roles=officer\n";
	struct cof_ceremony_judging p = {.verify = refuse, .whole = true};
	struct cof_people people;
	struct cof_judgement w;
	int r;

	fuzz_check(cof_people_parse(text, sizeof(text) - 1, NULL, 0, NULL, &people, NULL) == 0);
	p.people = &people;
	r = cof_ceremony_judge(c, &p, &w);
	fuzz_check(r == -ENOMEM || (r == -EPERM && w.rule && w.reason[0])); /* nobody signs by chance */
	cof_people_done(&people);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	cof_autobuf struct cof_buf again = {0}, missing = {0};
	struct cof_ceremony c;
	struct cof_diag d = {""};
	int r;

	ready();
	r = cof_ceremony_parse(data, n, &c, &d);
	fuzz_check(r == 0 || ((r == -EUCLEAN || r == -E2BIG) && d.text[0]));
	if (r == 0) {
		for (size_t i = 0; i < c.n_lines; i++)
			fuzz_check(cof_json_canonical(c.line[i].o, &again) == 0);
		fuzz_check(again.len == n && !memcmp(again.data, data, n) && c.n_lines && c.n_roll >= 2);
		cof_ceremony_missing(&c, &missing);
		fuzz_check(c.complete == (missing.len == 0));
		judge(&c);
	}
	cof_ceremony_done(&c);
	return 0;
}

static void add(struct cof_ceremony *c, enum cof_ceremony_what what, const char *json, struct cof_buf *text)
{
	cof_autobuf struct cof_buf line = {0};
	struct cof_json *own = NULL;

	fuzz_check(cof_json_parse(json, strlen(json), &own) == 0);
	fuzz_check(cof_ceremony_add(c, what, own, 1, &line, NULL) == 0);
	cof_buf_add(text, line.data, line.len);
	fuzz_seed(text->data, text->len);
}

static void by(struct cof_ceremony *c, enum cof_ceremony_what what, const char *name, struct cof_buf *text)
{
	cof_autojson struct cof_json *o = cof_json_object();

	cof_json_set_str(o, "by", name);
	cof_json_set_str(o, "signature", armored);
	add(c, what, cof_json_text(o, false), text);
}

#define H32 "0101010101010101010101010101010101010101010101010101010101010101"
#define H16 "01010101010101010101010101010101"
#define HEAD(kind) "{\"archive\":\"" H16 "\",\"format\":\"coffer-ceremony/1\",\"kind\":\"" kind "\",\"nonce\":\"" H16 "\",\"people\":\"" H32 \
		   "\",\"rehearsal\":false,\"roll\":[\"anna\",\"ben\",\"cleo\"],\"sheet\":\"" H32 "\",\"epoch\":2,"

static void seed(const char *opened, const char *step, const enum cof_ceremony_what *what, const char *const *lines, size_t n)
{
	cof_autobuf struct cof_buf text = {0};
	struct cof_ceremony c = {.kind = 0};
	static const char *const names[] = {"anna", "ben", "cleo"};

	add(&c, COF_CER_OPENED, opened, &text);
	for (size_t i = 0; i < 3; i++)
		by(&c, COF_CER_PRESENT, names[i], &text);
	add(&c, COF_CER_TOLD, "{\"step\":\"plan\"}", &text);
	by(&c, COF_CER_AGREED, "anna", &text);
	by(&c, COF_CER_AGREED, "ben", &text);
	add(&c, COF_CER_TOLD, step, &text);
	by(&c, COF_CER_AGREED, "anna", &text);
	by(&c, COF_CER_AGREED, "ben", &text);
	for (size_t i = 0; i < n; i++)
		add(&c, what[i], lines[i], &text);
	for (size_t i = 0; i < 3; i++)
		by(&c, COF_CER_SIGNED, names[i], &text);
	cof_ceremony_done(&c);
}

void fuzz_seeds(void)
{
	static const enum cof_ceremony_what made[] = {COF_CER_BEGUN, COF_CER_FAILED, COF_CER_BEGUN, COF_CER_MADE, COF_CER_CLOSING},
					    delivered[] = {COF_CER_BEGUN, COF_CER_DELIVERED, COF_CER_CLOSING},
					    destroyed[] = {COF_CER_DESTROYED, COF_CER_CLOSING};

	ready();
	seed(HEAD("creation") "\"holders\":2,\"scheme\":\"" H32 "\"}", "{\"step\":\"make\"}", made,
	     (const char *const[]){"{\"attempt\":1}", "{\"reason\":\"stopped\"}", "{\"attempt\":2}",
				   "{\"document\":\"" H32 "\",\"epoch_key\":\"" H32 "\"}", "{\"outcome\":\"abandoned\"}"}, 5);
	seed(HEAD("recovery") "\"document\":\"" H32 "\",\"epoch_key\":\"" H32 "\",\"input\":\"" H32
	     "\",\"to\":\"age1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}", "{\"step\":\"deliver\"}", delivered,
	     (const char *const[]){"{\"attempt\":1}", "{\"output\":\"" H32 "\"}", "{\"outcome\":\"done\"}"}, 3);
	seed(HEAD("destruction") "\"document\":\"" H32 "\",\"epoch_key\":\"" H32 "\",\"holders\":3,\"which\":[1]}", "{\"step\":\"destroy\"}", destroyed,
	     (const char *const[]){"{\"challenge\":\"destroy-aaaa-bbbb-cccc-dddd-eeee-ffff\",\"commitment\":\"" H32 "\",\"holder\":1,\"proof\":\""
				   "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\"}",
				   "{\"outcome\":\"done\"}"}, 2);
}
