<?php

// Double of firebase/php-jwt for the signing sample in deploy/pages.md: `JWT::encode` with an Ed25519
// key. The key is the base64 form of libsodium's secret key, as in the package.

namespace Firebase\JWT;

final class JWT
{
    public static function encode(
        array $claims,
        string $key,
        string $algorithm,
        ?string $kid = null,
    ): string {
        if ($algorithm !== 'EdDSA') {
            throw new \DomainException('the double signs with EdDSA alone');
        }
        $part = fn (string $bytes) => rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
        $json = fn (array $value) => $part(json_encode($value, JSON_UNESCAPED_SLASHES));
        $header = ['typ' => 'JWT', 'alg' => $algorithm] + ($kid === null ? [] : ['kid' => $kid]);
        $signed = $json($header) . '.' . $json($claims);
        return $signed . '.' . $part(sodium_crypto_sign_detached($signed, base64_decode($key)));
    }
}
