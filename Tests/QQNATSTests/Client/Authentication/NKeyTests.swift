import Crypto
import Foundation
import Testing

@testable import QQNATS

@Suite("NKeys") struct NKeyTests {
    /// Seed, public key, nonce, signature. The first two are published with NKey libraries for Elixir; the others were made with Python's `cryptography`.
    static let vectors = [
        (
            "SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU", "UCK5N7N66OBOINFXAYC2ACJQYFSOD4VYNU6APEJTAVFZB2SVHLKGEW7L",
            "PXoWU7zWAMt75FY",
            "ZaAiVDgB5CeYoXoQ7cBCmq-ZllzUnGUoDVb8C7PilWvCs8XKfUchAUhz2P4BYAF--Dg3w05CqyQFRDiGL6LrDw"
        ),
        (
            "SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU", "UCK5N7N66OBOINFXAYC2ACJQYFSOD4VYNU6APEJTAVFZB2SVHLKGEW7L",
            "iBFByN3zQjAT7dQ",
            "kagPGrixaWS5yuHqw9nTQrda1Q376fK3fRCGtYdF4_w2aSk-4O7Ca0JM0qvzm69HH6MoMps2yF6Q0Qs830JZCA"
        ),
        (seed, publicKey, "PXoWU7zWAMt75FY", "bnxg5G8aOV2LQdSE_lcM9clxm_fbTTZxsqQ1EpTNgJXmH6z5ezesd49kXfuNhoAqw_DmEtsGcNsJdug9wMuRDQ"),
        (seed, publicKey, "", "nKU1eVMGVNXD33cInvRe2mE-L-32cOlr7axGOVBOWEXvS5XVeTB3Iz3RaBeyUy6cVSWHKnOkrXS3WTaangXBAg"),
    ]
    /// The seed of the bytes 0 to 31.
    static let seed = "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y"
    static let publicKey = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK"

    @Test("an NKey makes the same signature as other libraries", arguments: vectors) func vector(
        _ vector: (seed: String, publicKey: String, nonce: String, signature: String)
    ) throws {
        let key = try NKey(seed: vector.seed)
        #expect(key.publicKey == vector.publicKey)
        #expect(try key.sign(Array(vector.nonce.utf8)) == vector.signature)
    }

    @Test("an NKey's signature is verified by its public key") func verified() throws {
        let key = try NKey(seed: Self.seed)
        let nonce = Array("some nonce".utf8)
        let signature = try #require(Base64URL.decode(try key.sign(nonce).utf8))
        let raw = try #require(Base32.decode(key.publicKey.utf8)).dropFirst().dropLast(2)
        let publicKey = try Curve25519.Signing.PublicKey(rawRepresentation: raw)
        #expect(publicKey.isValidSignature(signature, for: nonce))
        #expect(!publicKey.isValidSignature(signature, for: Array("another".utf8)))
    }

    @Test(
        "text that is not a user's seed is refused, and the error names what it is",
        arguments: [
            ("SAAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4HYMHI", "an account seed"),
            ("SNAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H2D5U", "a server seed"),
            ("SCAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4HYO7Q", "a cluster seed"),
            ("SOAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H2AJA", "an operator seed"),
            ("SXAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H74KM", "a curve seed"),
            ("SFAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4HZIYU", "not a user seed"),
            (publicKey, "the public key of a user"),
            ("AAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3QPZV", "the public key of an account"),
            (
                "PAAACAQDAQCQMBYIBEFAWDANBYHRAEISCMKBKFQXDAMRUGY4DUPB6A5BA677HTQQXYOXBXIY45F4BGLH4TLDBG5FBVPR3XEGMQJFKMNYJGWQ",
                "a private key"
            ),
            ("HAAACAQDAQCQMBYIBEFAWDANBYHRAEISCMKBKFQXDAMRUGY4DUPB7QYZ", "start with SU"),
            ("SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4BIB", "length of an Ed25519 seed"),
            (String(seed.dropLast()), "cut"), (String(seed.dropLast(2)), "checksum"), (seed.lowercased(), "characters"),
            (seed + "=", "characters"), (" " + seed, "characters"), ("", "cut"), ("SU", "cut"),
            ("SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H7766", "checksum"),
        ]) func refused(_ text: String, _ reason: String)
    {
        let error = #expect(throws: NATSError.self) { try NKey(seed: text) }
        #expect(error?.kind == .configuration)
        #expect(error?.reason.contains(reason) == true, "\(String(describing: error))")
        if text.count > 5 { #expect(error?.reason.contains(text.dropFirst(4)) == false) }
    }

    @Test("an NKey never shows its private key") func secret() throws {
        let key = try NKey(seed: Self.seed)
        var dumped = ""
        dump(key, to: &dumped)
        dumped += "\(key) \(String(reflecting: key)) \([key])"
        #expect(dumped.contains(Self.publicKey))
        #expect(dumped.replacing(Self.publicKey, with: "").utf8.count < 100, "\(dumped)")
    }

    @Test("the checksum of an NKey is CRC-16/XMODEM") func checksum() {
        #expect(NKey.checksum(Array("123456789".utf8)) == 0x31C3)
        #expect(NKey.checksum([]) == 0)
    }

    @Test("base32 and base64url agree with RFC 4648 and Foundation") func bases() throws {
        for count in 0...40 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 151 &+ 7) }
            #expect(Base32.decode(Base32.encode(bytes).utf8) == bytes)
            let standard = Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
            #expect(Base64URL.encode(bytes) == standard)
            #expect(Base64URL.decode(standard.utf8) == bytes)
        }
        // RFC 4648, section 10.
        for (text, encoded) in [
            ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("fooba", "MZXW6YTB"), ("foobar", "MZXW6YTBOI"),
        ] {
            #expect(Base32.encode(text.utf8) == encoded)
        }
        for text in ["A", "ABC", "ABCDEF", "A1", "a2", "AB=", "ÄÄ"] { #expect(Base32.decode(text.utf8) == nil, "\(text)") }
        for text in ["A", "ABCDE", "A+", "A/", "AB==", "A B"] { #expect(Base64URL.decode(text.utf8) == nil, "\(text)") }
    }
}
