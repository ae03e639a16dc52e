/* Keys and certificates for JSON web tokens, made for these tests alone with openssl req -x509, and
 * what signs with them: a second implementation beside the one under test is OpenSSL's own. */
#pragma once

#include "tests/sim/hubsim/entra_jwt.h"
#include "tests/sim/hubsim/json.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define JWT_THUMBPRINT_SHA1   "5v5mb-iKUHYJQvfmlS5Q_RP7nWs"
#define JWT_THUMBPRINT_SHA256 "6aXzfUEE2d7z30dJLIVheg9YMAPcp4fggeRODKtjuIY"

/* clang-format off */
#define JWT_CERTIFICATE \
    "-----BEGIN CERTIFICATE-----\n" \
    "MIIC/zCCAeegAwIBAgIUSxmcmQYss8u69jrBR0JihkbUnNswDQYJKoZIhvcNAQEL\n" \
    "BQAwDjEMMAoGA1UEAwwDYXBwMCAXDTI2MTEyMzAwMzI1OVoYDzIxMjYxMDMwMDAz\n" \
    "MjU5WjAOMQwwCgYDVQQDDANhcHAwggEiMA0GCSqGSIb3DQEBAQUAA4IBDwAwggEK\n" \
    "AoIBAQCkmQzeYJPILR/AFipnVypTOwTf+2+incu8PNlAVmdZjawbdoXPhza7gE99\n" \
    "BrThmofL0L44BjyJ+Bw70h29Tju4tbWEEnTvdKczcane6IgWv9Yk+L3OiWV8Leum\n" \
    "oK3hSHMlvDPu6O07SE11Ff1WnBoXLsF3mgOwXE4+vjumoBhqyUCtlx+I7H8VcplF\n" \
    "0YS7oq9SgR9UUb835/Abrv3B9sv1HJbBoA2+6QdVPSTlUirQqwo6KOxY1gVnVpgI\n" \
    "HmPpTIy1zzqkwXXUhq7rzgMwt1Zsc/YLf0lE3aYeQCfY5Ib9p9naQ6fClOQRJgtG\n" \
    "cEGPEyu93uPmt3u4lN22/ike20cFAgMBAAGjUzBRMB0GA1UdDgQWBBTxiioFVl0x\n" \
    "OzuwlVbGoP+gYa2aOTAfBgNVHSMEGDAWgBTxiioFVl0xOzuwlVbGoP+gYa2aOTAP\n" \
    "BgNVHRMBAf8EBTADAQH/MA0GCSqGSIb3DQEBCwUAA4IBAQBq54QngZtrGpfdwwvJ\n" \
    "ZXnpFAkqdezlZPo7AL4v/sx0H2eaFJiezWlkH8qMnjD6IBxhmEtcp+hHKEnmJrPj\n" \
    "FI5CxpLWmlvQdrKNrMqB1ew8lfQ/Vz3RzPZCUriDWrlwCspysIhv3v/s93xGaW6f\n" \
    "miB38VGmEbQUvVAGcJC2cNbqpdWH0r6jvipr5nZ0vQtSKH83JVcfhUFqnIBD8csz\n" \
    "e2ChYyHLyl1Yw4hHDfKqCeclYzXoMXksGQZDGSMI5q2lAnGalTz8Uh9CPKB/uYNQ\n" \
    "ikfpDYEGaF9dUB1XZq3Qqy7GkVdDz7eb4UiGFrI80QFFnwNXVZwMGCoSw+DJuJ9J\n" \
    "cCC1\n" \
    "-----END CERTIFICATE-----\n"
#define JWT_KEY \
    "-----BEGIN PRIVATE KEY-----\n" \
    "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQCkmQzeYJPILR/A\n" \
    "FipnVypTOwTf+2+incu8PNlAVmdZjawbdoXPhza7gE99BrThmofL0L44BjyJ+Bw7\n" \
    "0h29Tju4tbWEEnTvdKczcane6IgWv9Yk+L3OiWV8LeumoK3hSHMlvDPu6O07SE11\n" \
    "Ff1WnBoXLsF3mgOwXE4+vjumoBhqyUCtlx+I7H8VcplF0YS7oq9SgR9UUb835/Ab\n" \
    "rv3B9sv1HJbBoA2+6QdVPSTlUirQqwo6KOxY1gVnVpgIHmPpTIy1zzqkwXXUhq7r\n" \
    "zgMwt1Zsc/YLf0lE3aYeQCfY5Ib9p9naQ6fClOQRJgtGcEGPEyu93uPmt3u4lN22\n" \
    "/ike20cFAgMBAAECggEAAwmaTuhGf5wOtsx7D9knF6mLcuolPPhxpu0S1CaNMSK+\n" \
    "vg+SvJex6pfmuw6BfAl8BA+7icf/HEuPAK8J+XXL2qI0ZDGPkuFog1yGett4RSxZ\n" \
    "IDKu8E/zpqPe3/5UQEfGSDhG6aTrWY4mBqSOGbo3LZ3F2DroPfLxj9rbcKrlY+MS\n" \
    "viyOuOdz5/BHd7JqGf43Fhh1iKZBG4iXHtOsJ7eALAQgNnURdD8CgWkN/n7DCreN\n" \
    "Y26zPi7zJ1LYhZaMMP5Htvsmt9z68Ted+OnfjiJmCm8S4AXmmIegeKBkQgktJehv\n" \
    "S6NBE8iLybpIpViDPk+QXRLhMcW7K6AR8rHVRYsQqQKBgQDV0ki4q2dWW2QEaWQ9\n" \
    "QSXrKosvP1ltrajkMEVDQVhbqUeZD69sIy7vuVyMQlfTlojavRAyOrkrhDD9d3p+\n" \
    "8cmYvVm6QU5MQUWjUdxdY/QinxsQf9MVe2U9vsBU2g64H9B4s3SARQKPRmCN4Hrl\n" \
    "8egE0sbXzEzWzbCj5QZLLNoJswKBgQDFEQmCjo9zPhmX1FkP38e1/8dy5r/x2XmS\n" \
    "Lm9yivkOm1tiJS4nxVumL4jozcG2C3C5G5at1c041s9GaOwXI57dU7ebNQG31hV9\n" \
    "6XGUI46cT9zxlx68b0/rArngZDGakPEwwSbQ2VWz7N2Kii5S2hRkC/jnvURnjGfL\n" \
    "Kp0ZCukgZwKBgQCjagYoFN9yUYB8GqwAYJUBSM98+ZZ4S1ujofydbQiBbTuKEEHK\n" \
    "jI0nq2u+ykljLU5ElnAVY2n3hx0F6lVVRacEM9qqjZSwlMYLDtozCdwgxaaikn6Z\n" \
    "kWgLq4hEkS7kq3Phe41TJurQ40GRzPlAWgQwA4LylHI5TJRufe+0bn/pHwKBgQCi\n" \
    "3lXRxSjhwe09Ao8pA3X3ARJB8Fuq8mX7Xs1VCW6Vl+iK0Ne4nvAEBT1Nyt/SKNpc\n" \
    "4mRB/3XBCCf+tTCKXzIpEcupRsHIwfK5QXpRSKHQpmCgepk4e3a9cF9XCPfGGwx7\n" \
    "kucVrMmcDqN6oIFwkDRSC2MHg/FI803FJ872p4HM+QKBgFKcWN59xhgrL7Q/FvjX\n" \
    "/cLLw58+TB612EV9TWVcMeYQXlQzy2uL2fsrl8wgmo/LScvVclJw0ipJjZAvfC1Q\n" \
    "uq8BHGOVBr3r1CUM4nIHWbsXeUUX7STIXpi+HpAXb4H8+z2T9pY3AwZUnFEZi7Px\n" \
    "fi4qCuAViAshg5HI0mtiOrmC\n" \
    "-----END PRIVATE KEY-----\n"
#define JWT_OTHER_CERTIFICATE \
    "-----BEGIN CERTIFICATE-----\n" \
    "MIIDAzCCAeugAwIBAgIUWEBkW8KY6JrOVrpaccVeUqJLmhswDQYJKoZIhvcNAQEL\n" \
    "BQAwEDEOMAwGA1UEAwwFb3RoZXIwIBcNMjYxMTIzMDAzMjU5WhgPMjEyNjEwMzAw\n" \
    "MDMyNTlaMBAxDjAMBgNVBAMMBW90aGVyMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n" \
    "MIIBCgKCAQEA1np3jt72GUkXOmdWX0j8v8IsDHLGUpHB0fIoyOK8ksw3adbrxYGW\n" \
    "6znXkZsHF2vBDMQuOBeIR4WYR40YR4tIImSOd2WTo5zSVqSOpkzBLVS7dExrzpJG\n" \
    "vIPvCSh1thAXtI+w1vDa1Qu6EhnStWWwr9+CHXctUqR25dcV78Kkis74kRZSj1yb\n" \
    "HWpTQ0Ib+Z9O5xJO7mwLxPMQXp25xh0O4unbtpgzDBmAdtfVGswujuezNt4EnS7t\n" \
    "bWRK+e1B9p/heL5n0gMjfknkIbQHPBh3GLEYRrrQoABsO5WPM7JezA4+hSjEG/bp\n" \
    "YIeIz/lmT163oU8c/hQcc3mOEetU8SMJ4wIDAQABo1MwUTAdBgNVHQ4EFgQUfAyG\n" \
    "oxvxfReme3QvmfO9go8tdF4wHwYDVR0jBBgwFoAUfAyGoxvxfReme3QvmfO9go8t\n" \
    "dF4wDwYDVR0TAQH/BAUwAwEB/zANBgkqhkiG9w0BAQsFAAOCAQEAkYYG49RqxTZh\n" \
    "4sgJDpX1nIZpJqawmIvujRPHbb9Jh8awY3FxNAANbk12XhxDfsooO4L70Q5B7d8O\n" \
    "fWdpD5KGu6uChY30SKdgu3ZN/X7bU7jW06YRfIOQPSMQigR3AkjEQEkm13A/Wkn7\n" \
    "ytmJI/Gd3dGX2DpglX8GOOC0kHj0qfhqaZcS2BXYOTtK4o4RU24cg4dqXBdFSz4n\n" \
    "HjpzvZbxMy6aZAU9sWxgdGjvdwamTMVXoz2rdqN9ZPaXq9bNuGaLghepKpmdWgn9\n" \
    "XHL4n6RB1HGtHVrgJkGkWLwyJJtQ/ltmTs862ODHuHKLtAUEXygWUL41p47ntfv1\n" \
    "aT5aRPZJlg==\n" \
    "-----END CERTIFICATE-----\n"
#define JWT_EC_CERTIFICATE \
    "-----BEGIN CERTIFICATE-----\n" \
    "MIIBcjCCARegAwIBAgIUSi1Qn42bq8sRycvcwERV8a3p3YowCgYIKoZIzj0EAwIw\n" \
    "DTELMAkGA1UEAwwCZWMwIBcNMjYxMTIzMDAzMjU5WhgPMjEyNjEwMzAwMDMyNTla\n" \
    "MA0xCzAJBgNVBAMMAmVjMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEBx5GZ8wb\n" \
    "BXT4FgTNXKy2F4UyGK+ofrrN0UJ61b8rQzq/NwbVqK72ONFGJVdNeIPxA5a4dULs\n" \
    "/9Y9CrpUZlVJKKNTMFEwHQYDVR0OBBYEFPCabBCPyPUbZOo6qWOvg5uEuTJ0MB8G\n" \
    "A1UdIwQYMBaAFPCabBCPyPUbZOo6qWOvg5uEuTJ0MA8GA1UdEwEB/wQFMAMBAf8w\n" \
    "CgYIKoZIzj0EAwIDSQAwRgIhAJgUlaWzq9Q3lnCKm4WUJ/XaRMPpjCxjMkFUbVtm\n" \
    "na2rAiEAtX1VfU2Hbe8+NXpSIoKzOgg/s67bGAfawWR8UqaDuU8=\n" \
    "-----END CERTIFICATE-----\n"
/* clang-format on */

static inline cJSON *fixture_tree(const char *text)
{
    cJSON *tree = NULL;

    assert_int_equal(json_parse(&tree, text, strlen(text)), 0);
    return tree;
}

/* base64url by way of OpenSSL's base64. */
static inline void fixture_base64url(struct buf *out, const void *bytes, size_t length)
{
    unsigned char text[2048];
    int made;

    assert_true(length <= 1024);
    made = EVP_EncodeBlock(text, bytes, (int)length);
    for (int i = 0; i < made && text[i] != '='; i++)
        buf_add_byte(out, text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i]);
}

/* A token with this header and these claims, signed with the RSA key of a PEM text. */
static inline void fixture_sign(struct buf *out, const char *header, const char *claims,
                                const char *pem, bool pss)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *parameters = NULL;
    unsigned char signature[512];
    size_t length = sizeof signature;

    assert_non_null(key);
    fixture_base64url(out, header, strlen(header));
    buf_add_byte(out, '.');
    fixture_base64url(out, claims, strlen(claims));
    assert_int_equal(EVP_DigestSignInit(context, &parameters, EVP_sha256(), NULL, key), 1);
    if (pss) {
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST), 1);
    }
    assert_int_equal(EVP_DigestSign(context, signature, &length, out->bytes, out->length), 1);
    buf_add_byte(out, '.');
    fixture_base64url(out, signature, length);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    BIO_free(bio);
}
