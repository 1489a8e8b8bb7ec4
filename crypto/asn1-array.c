/* SPDX-License-Identifier: Apache-2.0 */
/* Run while building: libtasn1 turns stamp.asn into the array that it reads at run time. */
#include <libtasn1.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	char error[ASN1_MAX_ERROR_DESCRIPTION_SIZE] = "";

	if (argc != 4)
		return 2;
	if (asn1_parser2array(argv[1], argv[2], argv[3], error) != ASN1_SUCCESS) {
		fprintf(stderr, "%s: %s\n", argv[1], error);
		return 1;
	}
	return 0;
}
