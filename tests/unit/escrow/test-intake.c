/* SPDX-License-Identifier: Apache-2.0 */
/* Keys taken in: each form as openssl and ssh-keygen write it, what the reading process can do, and each rule. */
#include "test-escrow.h"

#include "crypto/crypto.h"
#include "escrow/intake-private.h"

#include <stdio.h>
#include <sys/stat.h>

static char dir[] = "/tmp/coffer-intake-XXXXXX";
static uint8_t *pkcs8;

static const char script[] =
    "set -e; cd '%s'\n"
    "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p8.pem\n"
    "openssl pkcs8 -topk8 -nocrypt -in p8.pem -outform DER -out p8.der\n"
    "openssl ec -in p8.pem -out sec1.pem\n"
    "openssl ec -in p8.pem -outform DER -out sec1.der\n"
    "openssl pkcs8 -topk8 -in p8.pem -passout pass:secret -out enc.pem\n"
    "openssl pkcs8 -topk8 -in p8.pem -passout pass:secret -outform DER -out enc.der\n"
    "openssl pkcs8 -topk8 -iter 9000000 -in p8.pem -passout pass:secret -out slow.pem\n"
    "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out weak.pem\n"
    "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem\n"
    "openssl rsa -in rsa.pem -traditional -out p1.pem\n"
    "openssl genpkey -algorithm X25519 -out x.pem\n"
    "openssl genpkey -algorithm ED25519 -out ed.pem\n"
    "printf '[req]\\ndistinguished_name=d\\n[d]\\n[enc]\\nkeyUsage=keyEncipherment\\n[sig]\\nkeyUsage=digitalSignature\\n"
    "[both]\\nkeyUsage=digitalSignature,keyEncipherment\\n[none]\\nsubjectKeyIdentifier=hash\\n"
    "[ca]\\nbasicConstraints=critical,CA:TRUE\\nkeyUsage=keyCertSign,cRLSign\\n' > conf\n"
    "for u in enc sig both none ca; do\n"
    "  openssl req -x509 -new -key rsa.pem -subj /CN=$u -days 9 -config conf -extensions $u -out $u.crt; done\n"
    "openssl req -new -key rsa.pem -subj /CN=r -config conf -reqexts enc -out enc.csr\n"
    "openssl pkcs12 -export -inkey rsa.pem -in enc.crt -passout pass:secret -out p12.p12\n"
    "cp p8.pem ossh; chmod 600 ossh; ssh-keygen -q -p -N '' -f ossh\n"
    "ssh-keygen -q -t ed25519 -N '' -C c -f ossh-ed; ssh-keygen -q -t ed25519 -N abcdef -C c -f ossh-enc\n"
    "cp rsa.pem ossh-rsa; chmod 600 ossh-rsa; ssh-keygen -q -p -N '' -f ossh-rsa\n";

static void make_keys(void)
{
	char *command;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_gt(asprintf(&command, script, dir), 0);
	FILE *shell = popen("bash > /dev/null 2>&1", "we");
	ck_assert_ptr_nonnull(shell);
	fputs(command, shell);
	ck_assert_int_eq(pclose(shell), 0);
	free(command);
	pkcs8 = cof_secret_alloc(COF_PRIVATE_KEY_MAX);
	ck_assert_ptr_nonnull(pkcs8);
}

static void remove_keys(void)
{
	char command[128];

	cof_secret_free(pkcs8);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static size_t load(const char *name, uint8_t *to)
{
	char path[128];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	ck_assert_msg(f != NULL, "%s", path);
	n = fread(to, 1, COF_PRIVATE_KEY_MAX, f);
	fclose(f);
	return n;
}

static int read_key(const char *name, const char *pass, struct cof_private_key *ret, struct cof_diag *diag)
{
	uint8_t file[COF_PRIVATE_KEY_MAX];
	size_t n = load(name, file), out = 0;
	int r = cof_intake_read(file, n, pass, ret, pkcs8, &out, diag);

	if (r == 0)
		ck_assert_uint_gt(out, 32);
	return r;
}

static struct cof_public_use use_of(const char *name)
{
	uint8_t file[COF_PRIVATE_KEY_MAX];
	struct cof_public_use u;
	struct cof_diag diag = {""};

	ck_assert_msg(cof_public_use_read(file, load(name, file), &u, &diag) == 0, "%s: %s", name, diag.text);
	return u;
}

START_TEST(forms)
{
	static const struct {
		const char *name, *pass, *like;
		enum cof_key_form form;
	} all[] = {
	    {"p8.pem", NULL, NULL, COF_FORM_PKCS8},	       {"p8.der", NULL, "p8.pem", COF_FORM_PKCS8},
	    {"sec1.pem", NULL, "p8.pem", COF_FORM_SEC1},       {"sec1.der", NULL, "p8.pem", COF_FORM_SEC1},
	    {"enc.pem", "secret", "p8.pem", COF_FORM_PKCS8_ENCRYPTED}, {"enc.der", "secret", "p8.pem", COF_FORM_PKCS8_ENCRYPTED},
	    {"ossh", NULL, "p8.pem", COF_FORM_OPENSSH},	       {"rsa.pem", NULL, NULL, COF_FORM_PKCS8},
	    {"p1.pem", NULL, "rsa.pem", COF_FORM_PKCS1},       {"p12.p12", "secret", "rsa.pem", COF_FORM_PKCS12},
	    {"ossh-rsa", NULL, "rsa.pem", COF_FORM_OPENSSH},   {"ossh-ed", NULL, NULL, COF_FORM_OPENSSH},
	    {"x.pem", NULL, NULL, COF_FORM_PKCS8},	       {"ed.pem", NULL, NULL, COF_FORM_PKCS8},
	};

	for (size_t i = 0; i < COF_COUNT(all); i++) {
		struct cof_private_key k = {.form = 0}, like = {.form = 0};
		struct cof_diag diag = {""};

		ck_assert_msg(read_key(all[i].name, all[i].pass, &k, &diag) == 0, "%s: %s", all[i].name, diag.text);
		ck_assert_msg(k.form == all[i].form && !k.weak, "%s: %s %s", all[i].name, cof_key_form_name(k.form), k.algorithm);
		if (!all[i].like)
			continue;
		ck_assert_int_eq(read_key(all[i].like, NULL, &like, &diag), 0);
		ck_assert_mem_eq(k.public_id, like.public_id, COF_HASH);
	}
}
END_TEST

/* What comes back is the key: as openssl writes it, byte for byte. */
START_TEST(same_key)
{
	uint8_t file[COF_PRIVATE_KEY_MAX], wrapped[COF_PRIVATE_KEY_MAX];
	struct cof_private_key k;
	size_t n = load("p8.der", file), m = load("enc.pem", wrapped), out = 0;

	ck_assert_int_eq(cof_intake_read(wrapped, m, "secret", &k, pkcs8, &out, NULL), 0);
	ck_assert_uint_eq(out, n);
	ck_assert_mem_eq(pkcs8, file, n);
	ck_assert_str_eq(k.algorithm, "EC/ECDSA");
	ck_assert_uint_eq(k.bits, 256);
}
END_TEST

START_TEST(not_read)
{
	static const struct {
		const char *name, *pass;
		int err;
	} all[] = {{"enc.pem", NULL, -ENOKEY},	     {"enc.pem", "wrong", -EKEYREJECTED}, {"enc.der", "wrong", -EKEYREJECTED},
		   {"p12.p12", NULL, -ENOKEY},	     {"p12.p12", "wrong", -EKEYREJECTED}, {"slow.pem", "secret", -E2BIG},
		   {"ossh-enc", NULL, -EOPNOTSUPP}, {"enc.crt", NULL, -EUCLEAN},	      {"conf", NULL, -EUCLEAN}};
	struct cof_private_key k;
	struct cof_public_use u;
	uint8_t file[COF_PRIVATE_KEY_MAX];
	size_t n, out = 0;

	for (size_t i = 0; i < COF_COUNT(all); i++) {
		struct cof_diag diag = {""};
		int r = read_key(all[i].name, all[i].pass, &k, &diag);

		ck_assert_msg(r == all[i].err && *diag.text, "%s: %d %s", all[i].name, r, diag.text);
	}
	n = load("p8.der", file);
	for (size_t cut = 0; cut < n; cut += 7) /* each one a process */
		ck_assert_int_lt(cof_intake_read(file, cut, NULL, &k, pkcs8, &out, NULL), 0);
	ck_assert_int_eq(cof_public_use_read(file, n, &u, NULL), -EUCLEAN);
	n = load("enc.csr", file);
	file[n / 2] ^= 1; /* its signature does not hold, or it is no PEM any more */
	ck_assert_int_eq(cof_public_use_read(file, n, &u, NULL), -EUCLEAN);
}
END_TEST

START_TEST(confined)
{
	char text[768] = "?";
	struct cof_diag diag = {""};

	ck_assert_msg(cof_intake_probe(text, &diag) == 0, "%s", diag.text);
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(usages)
{
	ck_assert_uint_eq(use_of("enc.crt").use, COF_USE_ENCRYPT);
	ck_assert_uint_eq(use_of("sig.crt").use, COF_USE_SIGN);
	ck_assert_uint_eq(use_of("both.crt").use, COF_USE_SIGN | COF_USE_ENCRYPT);
	ck_assert(!use_of("none.crt").has_usage && !use_of("none.crt").request);
	ck_assert(use_of("ca.crt").ca && use_of("ca.crt").use == COF_USE_SIGN);
	ck_assert(use_of("enc.csr").request && use_of("enc.csr").use == COF_USE_ENCRYPT);
}
END_TEST

/* Each row changes what is permitted in one place. */
START_TEST(rules)
{
	struct cof_private_key rsa, weak, x, ed, ec;
	struct cof_public_use enc = use_of("enc.crt"), sig = use_of("sig.crt"), both = use_of("both.crt"), none = use_of("none.crt"),
			      ca = use_of("ca.crt"), odd = enc;
	const struct cof_intake fine = {COF_OWNER_SUBSCRIBER, COF_MATERIAL_KEY, 2, false, 2, 0, NULL, NULL, 0, &rsa, &enc};
	const struct cof_intake root = {COF_OWNER_CA, COF_MATERIAL_WRAPPED, 3, true, 2, 0, "hsm-1", "recovery", 0, NULL, &ca};
#define BUT(base, ...) ({ struct cof_intake t_ = base; __VA_ARGS__; t_; })
	const struct {
		const char *rule;
		struct cof_intake in;
	} all[] = {
	    {NULL, fine},
	    {NULL, root},
	    {NULL, BUT(fine, t_.public = &none, t_.decided = COF_USE_ENCRYPT)},
	    {NULL, BUT(fine, t_.key = &x, t_.public = NULL)},
	    {NULL, BUT(fine, t_.owner = COF_OWNER_CA, t_.backup = true, t_.level = 1, t_.public = &ca)},
	    {NULL, BUT(fine, t_.material = COF_MATERIAL_RAW, t_.bytes = 16, t_.level = 1, t_.key = NULL, t_.public = NULL)},
	    {"level", BUT(fine, t_.level = 0)},
	    {"level", BUT(fine, t_.level = 5)},
	    {"one-person", BUT(fine, t_.persons = 1)},
	    {"ca-escrow", BUT(root, t_.backup = false)},
	    {"subscriber-backup", BUT(fine, t_.backup = true)},
	    {"subscriber-backup", BUT(fine, t_.backup = true, t_.level = 4)},
	    {"no-token", BUT(root, t_.token = NULL)},
	    {"no-reason", BUT(root, t_.reason = "because")},
	    {"ca-plaintext", BUT(fine, t_.owner = COF_OWNER_CA, t_.backup = true, t_.public = &ca)},
	    {"plaintext", BUT(fine, t_.level = 4)},
	    {"raw", BUT(fine, t_.material = COF_MATERIAL_RAW, t_.bytes = 32, t_.key = NULL, t_.public = NULL)},
	    {"weak", BUT(fine, t_.material = COF_MATERIAL_RAW, t_.bytes = 15, t_.level = 1, t_.key = NULL, t_.public = NULL)},
	    {"weak", BUT(fine, t_.key = &weak)},
	    {"mismatch", BUT(fine, t_.key = &ec)},
	    {"ca-certificate", BUT(fine, t_.public = &ca)},
	    {"usage-contradicted", BUT(fine, t_.decided = COF_USE_SIGN)},
	    {"usage-unknown", BUT(fine, t_.public = NULL)},
	    {"usage-unknown", BUT(fine, t_.public = &none)},
	    {"both-uses", BUT(fine, t_.public = &both)},
	    {"both-uses", BUT(fine, t_.public = NULL, t_.decided = COF_USE_SIGN | COF_USE_ENCRYPT)},
	    {"usage-impossible", BUT(fine, t_.key = &ed, t_.public = &odd)},
	    {"signing-key", BUT(fine, t_.public = &sig)},
	    {"signing-key", BUT(fine, t_.key = &ed, t_.public = NULL)},
	    {"signing-key", BUT(fine, t_.public = &none, t_.decided = COF_USE_SIGN)},
	};
	struct cof_diag diag = {""};

	ck_assert_int_eq(read_key("rsa.pem", NULL, &rsa, &diag) | read_key("weak.pem", NULL, &weak, &diag) |
			     read_key("x.pem", NULL, &x, &diag) | read_key("ed.pem", NULL, &ed, &diag) | read_key("p8.pem", NULL, &ec, &diag), 0);
	memcpy(odd.public_id, ed.public_id, sizeof(odd.public_id)); /* of a key for signatures, and says that it encrypts */
	for (size_t i = 0; i < COF_COUNT(all); i++) {
		struct cof_intake_ruling r;

		cof_intake_judge(&all[i].in, &r);
		ck_assert_msg(!r.rule == !all[i].rule && (!r.rule || !strcmp(r.rule, all[i].rule)), "row %zu: %s, not %s", i,
			      r.rule ? r.rule : "permitted", all[i].rule ? all[i].rule : "permitted");
		ck_assert(r.rule ? r.clause && *r.reason && !r.use : r.use != 0);
		ck_assert_int_eq(r.decided, !r.rule && all[i].in.decided);
	}
}
END_TEST

TCase *intake_case(void)
{
	TCase *c = tcase_create("intake");

	tcase_set_timeout(c, 120);
	tcase_add_unchecked_fixture(c, make_keys, remove_keys);
	tcase_add_test(c, forms);
	tcase_add_test(c, same_key);
	tcase_add_test(c, not_read);
	tcase_add_test(c, confined);
	tcase_add_test(c, usages);
	tcase_add_test(c, rules);
	return c;
}
