/* Keys for tests. RSA's public ones are of RFC 7515 A.2, P-256 is that of A.3 (the certificate is its own too),
 * Ed25519 that of RFC 8037 A; rsa_private is another one. */
#pragma once

__attribute__((unused)) static const char pem_rsa_public[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAofgWCuLjybRlzo0tZWJj\n"
    "NiuSfb4p4fAkd/wWJcyQoTbji9k0l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEz\n"
    "P1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo\n"
    "9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTB\n"
    "EMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxX\n"
    "FvUK+DWNmoudF8NAco9/h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXp\n"
    "oQIDAQAB\n"
    "-----END PUBLIC KEY-----\n";

__attribute__((unused)) static const char pem_rsa_pkcs1[] =
    "-----BEGIN RSA PUBLIC KEY-----\n"
    "MIIBCgKCAQEAofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd/wWJcyQoTbji9k0l8W2\n"
    "6mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMs\n"
    "D1W/YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5\n"
    "z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxv\n"
    "b3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxXFvUK+DWNmoudF8NAco9/h9iaGNj8q2et\n"
    "hFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQIDAQAB\n"
    "-----END RSA PUBLIC KEY-----\n";

__attribute__((unused)) static const char pem_rsa_private[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDPx8VRke6X+C4D\n"
    "j+xlfO/l/6pM3P4bXbX7teZQF1CNx4ZzHO1gqWGKx2Fi3MkV9P8Wqq9kmczQoGaN\n"
    "ZwNB78akPNMkTRg01+pmdOBExxsaWLQZupiooYfFMpw8aAtzFTyYfIU2lesUFIxX\n"
    "ftB/jNKnWIQq8Db3oCEDhazvs65+3dup1KEf4893I7sObpoGRrtHPrzGQ4bC8sS1\n"
    "tHfcptDBJe6sZdJBcwlfKeGWPSeyzD0wdgNkGSlHyw4qDymwPAXwhIXnkaNlXbCE\n"
    "SmU5ykXN8OAEPNFPikND1REaDt04PkKtFqvtj6WCX3L4mDX2zqag9k/ONzBhiSDx\n"
    "8CHTZupJAgMBAAECggEAA6S5ikA7paD0EM5TRnkcYJuzfS/0dljJIIxqz3i5MHzd\n"
    "/kkn+HJZg+xFghnkN/6/aMK+QWglz63tKzzLl9QAJB0hu385yQnVBTSDdXFJ9Mcd\n"
    "aveuRmnrgY+6CAa8ow+T3z1y8I2y1siAqLNQLXLNg6KC65kIV1GqT1XmvgVLYaB/\n"
    "0J5PAADOndRpFe/5lz3yV68SCpu2q0vd0VUcYYvpAiv7dUksUGDVQLmzq03yZt7L\n"
    "5RbhJ+DqgP4i8x0zkP/7w6XmEHKJCqpwoHvMJ6U4rydoyjNr0idLvzJ1TCBJFLTs\n"
    "PYyeyoeLZhiQysSFZEmiatHBuRWG2A8wotkyweXCIQKBgQDuTtBhq9H2VdNz1Rs9\n"
    "r8HahrRvsMjHtR8El3rksEDreonux+H89eymcvV/QMBqxWbi/iDoCBCENxk8W1kL\n"
    "3LeOoC5kWCkdwaOUEMlvYBePQz8k8d5Ql84l1byzrFJ7q3ml2skr/9hjntWJh1Hr\n"
    "tkuvOFeEWdR1hGnkw2DKhb9rZQKBgQDfNMNJL4BhDWR6vQ32qjP5P9MShinSQQhX\n"
    "giwvDPfQ2jbygvtpqpy+teeqX9HmLeicyKi46EUP7Ek4+vaQ/qfZUqOgucctPyc+\n"
    "o+HxbhvIuYr7fiPHBw6mGN1bKPNEudrEXkYeA0swPKbwzv0ChSlY95iGkSfY5TkZ\n"
    "VUTCKfx/FQKBgQCbtBsq9dylmsYh9Kdr0p5SbZkPMO6+rXSqx16gdRi1wsbEoQzi\n"
    "/ru0tX/5uRD/siLbRTey4zIHcQioCvdPbNLx+W7WWVPkAVUjtSQoBRzfmgxz0yRy\n"
    "e/1RcylsK7do3k0JNL4kZXG5BVp4FVZNMDqbLbDg5OCQOAgIVC+1o1XCkQKBgBK4\n"
    "wTyNQG5jii8FVnt/ETbx1Il0OWPKUqHMaFpV8x9QflVfCSl2xwj0BwdyXA+7gAxO\n"
    "hGBmEwzf29BstGu7AGcpGFJt4rf32RnW8yel/ayba33muaeC/waNhVuVFrqIAEKC\n"
    "Sc1Qp2jXXYVLR0uD0dEFi4SV/kqiB2UJkufaT7R1AoGAQyvffGQMvt88lYOAm8Q+\n"
    "Y2YFN920Ji/FLZwZIdIWFrn5pemuf4vr/O0A+vQSzzpY1wEwo/hlylvGFLTM/0P+\n"
    "vdSTQ5VqE1RLRMZcjUMrwzAfgpWzOuucV+hvfd6t8eD6uLjB1WNgddQegrRXB7BM\n"
    "dK1ZQ3sV3NRkJgD0h54fsHk=\n"
    "-----END PRIVATE KEY-----\n";

__attribute__((unused)) static const char pem_rsa_1024[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC0sCf3IGiOVjX9NLi+/M7g1ps+\n"
    "d6vFkK1s9mNpE4jun6g3G2m33ySbCE8mqEV3xjTes4TejnB/owP3nQoq2xcgIXMX\n"
    "PUKkTMerTINYPOgWL4dXKazq14HlV3kG8kbl+TnICtJP7qRKIfG1Wv1UrHYPHEOz\n"
    "kTvkCWY5X2Cl7T3SdQIDAQAB\n"
    "-----END PUBLIC KEY-----\n";

__attribute__((unused)) static const char pem_rsa_private_pkcs1[] =
    "-----BEGIN RSA PRIVATE KEY-----\n"
    "MIIEowIBAAKCAQEAz8fFUZHul/guA4/sZXzv5f+qTNz+G121+7XmUBdQjceGcxzt\n"
    "YKlhisdhYtzJFfT/FqqvZJnM0KBmjWcDQe/GpDzTJE0YNNfqZnTgRMcbGli0GbqY\n"
    "qKGHxTKcPGgLcxU8mHyFNpXrFBSMV37Qf4zSp1iEKvA296AhA4Ws77Ouft3bqdSh\n"
    "H+PPdyO7Dm6aBka7Rz68xkOGwvLEtbR33KbQwSXurGXSQXMJXynhlj0nssw9MHYD\n"
    "ZBkpR8sOKg8psDwF8ISF55GjZV2whEplOcpFzfDgBDzRT4pDQ9URGg7dOD5CrRar\n"
    "7Y+lgl9y+Jg19s6moPZPzjcwYYkg8fAh02bqSQIDAQABAoIBAAOkuYpAO6Wg9BDO\n"
    "U0Z5HGCbs30v9HZYySCMas94uTB83f5JJ/hyWYPsRYIZ5Df+v2jCvkFoJc+t7Ss8\n"
    "y5fUACQdIbt/OckJ1QU0g3VxSfTHHWr3rkZp64GPuggGvKMPk989cvCNstbIgKiz\n"
    "UC1yzYOiguuZCFdRqk9V5r4FS2Ggf9CeTwAAzp3UaRXv+Zc98levEgqbtqtL3dFV\n"
    "HGGL6QIr+3VJLFBg1UC5s6tN8mbey+UW4Sfg6oD+IvMdM5D/+8Ol5hByiQqqcKB7\n"
    "zCelOK8naMoza9InS78ydUwgSRS07D2MnsqHi2YYkMrEhWRJomrRwbkVhtgPMKLZ\n"
    "MsHlwiECgYEA7k7QYavR9lXTc9UbPa/B2oa0b7DIx7UfBJd65LBA63qJ7sfh/PXs\n"
    "pnL1f0DAasVm4v4g6AgQhDcZPFtZC9y3jqAuZFgpHcGjlBDJb2AXj0M/JPHeUJfO\n"
    "JdW8s6xSe6t5pdrJK//YY57ViYdR67ZLrzhXhFnUdYRp5MNgyoW/a2UCgYEA3zTD\n"
    "SS+AYQ1ker0N9qoz+T/TEoYp0kEIV4IsLwz30No28oL7aaqcvrXnql/R5i3onMio\n"
    "uOhFD+xJOPr2kP6n2VKjoLnHLT8nPqPh8W4byLmK+34jxwcOphjdWyjzRLnaxF5G\n"
    "HgNLMDym8M79AoUpWPeYhpEn2OU5GVVEwin8fxUCgYEAm7QbKvXcpZrGIfSna9Ke\n"
    "Um2ZDzDuvq10qsdeoHUYtcLGxKEM4v67tLV/+bkQ/7Ii20U3suMyB3EIqAr3T2zS\n"
    "8flu1llT5AFVI7UkKAUc35oMc9Mkcnv9UXMpbCu3aN5NCTS+JGVxuQVaeBVWTTA6\n"
    "my2w4OTgkDgICFQvtaNVwpECgYASuME8jUBuY4ovBVZ7fxE28dSJdDljylKhzGha\n"
    "VfMfUH5VXwkpdscI9AcHclwPu4AMToRgZhMM39vQbLRruwBnKRhSbeK399kZ1vMn\n"
    "pf2sm2t95rmngv8GjYVblRa6iABCgknNUKdo112FS0dLg9HRBYuElf5KogdlCZLn\n"
    "2k+0dQKBgEMr33xkDL7fPJWDgJvEPmNmBTfdtCYvxS2cGSHSFha5+aXprn+L6/zt\n"
    "APr0Es86WNcBMKP4ZcpbxhS0zP9D/r3Uk0OVahNUS0TGXI1DK8MwH4KVszrrnFfo\n"
    "b33erfHg+ri4wdVjYHXUHoK0VwewTHStWUN7FdzUZCYA9IeeH7B5\n"
    "-----END RSA PRIVATE KEY-----\n";

__attribute__((unused)) static const char pem_p256_public[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
    "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
    "-----END PUBLIC KEY-----\n";

__attribute__((unused)) static const char pem_p256_private[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEII6bEJ5xkJi/mASH3x9dd+nLKWBuvtImO19XwhPfhPSyoAoGCCqGSM49\n"
    "AwEHoUQDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEXH8UTNG72b\n"
    "focs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
    "-----END EC PRIVATE KEY-----\n";

__attribute__((unused)) static const char pem_p256_encrypted[] =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
    "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAiNzo18qyfYIgICCAAw\n"
    "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEFLG1g2REUBDbsnc981GHWAEgZAX\n"
    "EURnlMzpyEqg/gC+4B/+UwmvnriiwqjUJYq8CrWzElOSaTv/mAwTajwn51WfYKvE\n"
    "9RZshZI0YoVHHNzqQclYhlIKE1R0VsH+tP1aKXqEI4FRFYftw27YcQ2L8aBYhmNN\n"
    "jw2lpUhxvXQd+lGAN9UPOjWeYb+VCXE+T9p0uOOzKo02L1oclDTnyGVKbq41+q8=\n"
    "-----END ENCRYPTED PRIVATE KEY-----\n";

__attribute__((unused)) static const char pem_p256_encrypted_old[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "Proc-Type: 4,ENCRYPTED\n"
    "DEK-Info: AES-256-CBC,EDC32E65D03A1BE8057520DF49984412\n"
    "\n"
    "GP9mlCZ5mRsLsmuB9y/GCFmh5hgpATODw+OChPoJiWZ9tsOiCJrVxru5Q/lb8NN9\n"
    "iHjspxSI4NfNuBrWIEx0qTqGhxrgQ0VGBqeFwOzzqCqbsf9uRVp5DrSxkCFCliYP\n"
    "woZTjVWoxySqJ5PuYa5PJbn4TPQgkfuCdTwJKI/D8uc=\n"
    "-----END EC PRIVATE KEY-----\n";

__attribute__((unused)) static const char pem_ec_parameters[] =
    "-----BEGIN EC PARAMETERS-----\n"
    "BggqhkjOPQMBBw==\n"
    "-----END EC PARAMETERS-----\n"
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEII6bEJ5xkJi/mASH3x9dd+nLKWBuvtImO19XwhPfhPSyoAoGCCqGSM49\n"
    "AwEHoUQDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEXH8UTNG72b\n"
    "focs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
    "-----END EC PRIVATE KEY-----\n";

__attribute__((unused)) static const char pem_certificate[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBdDCCARugAwIBAgIUV05d3liDUuAGgubhMi/vmdUf55UwCgYIKoZIzj0EAwIw\n"
    "DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjkxOTE3NDlaGA8yMTI2MTEwNTE5MTc0\n"
    "OVowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABH/N\n"
    "zidw9sRdQYPL7m/bS3tYBzM1e+nvE7rPbjx70VRFx/FEzRu9m36HLN/tue659LNp\n"
    "XW6pCyStikYjKIWI5a2jUzBRMB0GA1UdDgQWBBTOjRaxyTOOt/45eZmuRb7uP7WG\n"
    "hjAfBgNVHSMEGDAWgBTOjRaxyTOOt/45eZmuRb7uP7WGhjAPBgNVHRMBAf8EBTAD\n"
    "AQH/MAoGCCqGSM49BAMCA0cAMEQCIFjq4jBeJ/tV89O5VxoDOdroq3J667FR6iQ4\n"
    "V9VZr3FtAiBS7dMtuc6BEzCjkhCzvWi+K8WIteZ9d4Hy/UNdc2LR+g==\n"
    "-----END CERTIFICATE-----\n";

__attribute__((unused)) static const char pem_p384_public[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE0YuTV+yZHiuYmfDx1XFSGuUDcr+9hVUn\n"
    "Kyhx9NIRvYF5rmmM4yoHG5wRuFWh1oW03UPR40dxD9Oj7iUbxgBzpxXIZWwS8D/C\n"
    "bXCr+nOslRiGBAES2+oKFU/tF7KNxrSu\n"
    "-----END PUBLIC KEY-----\n";

__attribute__((unused)) static const char pem_ed_public[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
    "-----END PUBLIC KEY-----\n";

__attribute__((unused)) static const char pem_ed_private[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";

__attribute__((unused)) static const char pem_x25519_public[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VuAyEAyJtRm6i42gjKjiUvgNeXF9nexG+r6YEQcygHsqWzA2o=\n"
    "-----END PUBLIC KEY-----\n";
