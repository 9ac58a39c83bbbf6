import Crypto
import QQCore

/// An Ed25519 key in NATS' text form: one byte for its kind, the key and a CRC-16, in base32.
public struct NKey: Sendable {
    public enum Kind: UInt8, Sendable {
        case operators = 0x70
        case account = 0x00
        case user = 0xa0
    }

    public let kind: Kind
    private let key: Curve25519.Signing.PrivateKey

    public init(_ kind: Kind) {
        self.kind = kind
        key = Curve25519.Signing.PrivateKey()
    }

    /// `U…`, `A…` or `O…`.
    public var publicText: String { Self.text([kind.rawValue] + key.publicKey.rawRepresentation) }

    /// `SU…`, `SA…` or `SO…`.
    public var seed: String { Self.text([0x90 | kind.rawValue >> 5, (kind.rawValue & 31) << 3] + key.rawRepresentation) }

    public func sign(_ text: String) throws -> [UInt8] { Array(try key.signature(for: Array(text.utf8))) }

    private static func text(_ bytes: [UInt8]) -> String {
        var crc: UInt16 = 0
        for byte in bytes {
            crc ^= UInt16(byte) << 8
            for _ in 0..<8 { crc = crc & 0x8000 != 0 ? crc << 1 ^ 0x1021 : crc << 1 }
        }
        return encode(bytes + [UInt8(crc & 0xff), UInt8(crc >> 8)], bits: 5, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
    }
}

/// Encodes groups of `bits` bits as letters, without padding.
private func encode(_ bytes: some Sequence<UInt8>, bits: Int, _ alphabet: String) -> String {
    let letters = Array(alphabet)
    var text = ""
    var (pool, count) = (0, 0)
    for byte in bytes {
        pool = (pool << 8 | Int(byte)) & 0xffff
        count += 8
        while count >= bits {
            count -= bits
            text.append(letters[pool >> count & (1 << bits - 1)])
        }
    }
    if count > 0 { text.append(letters[pool << (bits - count) & (1 << bits - 1)]) }
    return text
}

/// Base 64 for URLs, as in JWTs and in the signature of `CONNECT`.
public func base64URL(_ bytes: some Sequence<UInt8>) -> String {
    encode(bytes, bits: 6, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
}

/// An operator with a test account and a system account. Issues users' `.creds` files.
public struct NATSOperator: Sendable {
    private let account = NKey(.account)
    /// The lines of the server's configuration.
    let configuration: String

    public init() throws {
        let boss = NKey(.operators)
        let system = NKey(.account)
        let operatorClaims: JSONValue = ["type": "operator", "version": 2, "system_account": .string(system.publicText)]
        let bossToken = try Self.token(operatorClaims, name: "tests", of: boss.publicText, signedBy: boss)
        func accountToken(_ key: NKey, _ name: String, jetStream: Bool) throws -> String {
            let storage: JSONValue = jetStream ? -1 : 0
            let limits: JSONValue = [
                "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
                "mem_storage": storage, "disk_storage": storage, "streams": storage, "consumer": storage,
            ]
            let claims: JSONValue = ["limits": limits, "default_permissions": ["pub": [:], "sub": [:]], "type": "account", "version": 2]
            return try Self.token(claims, name: name, of: key.publicText, signedBy: boss)
        }
        configuration = """
            operator: \(bossToken)
            system_account: \(system.publicText)
            resolver: MEMORY
            resolver_preload: {
                \(account.publicText): \(try accountToken(account, "work", jetStream: true))
                \(system.publicText): \(try accountToken(system, "system", jetStream: false))
            }
            """
    }

    /// A new user's JWT and key.
    public func user(_ name: String = "qq") throws -> (token: String, key: NKey) {
        let key = NKey(.user)
        let claims: JSONValue = ["pub": [:], "sub": [:], "subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2]
        return (try Self.token(claims, name: name, of: key.publicText, signedBy: account), key)
    }

    /// The text of a `.creds` file for a new user.
    public func credentials(_ name: String = "qq") throws -> String {
        let (token, key) = try user(name)
        return """
            -----BEGIN NATS USER JWT-----
            \(token)
            ------END NATS USER JWT------

            ************************* IMPORTANT *************************
            NKEY Seed printed below can be used to sign and prove identity.
            NKEYs are sensitive and should be treated as secrets.

            -----BEGIN USER NKEY SEED-----
            \(key.seed)
            ------END USER NKEY SEED------

            *************************************************************

            """
    }

    private static func token(_ claims: JSONValue, name: String, of subject: String, signedBy signer: NKey) throws -> String {
        let header: JSONValue = ["typ": "JWT", "alg": "ed25519-nkey"]
        let body: JSONValue = [
            "jti": .string(String(UInt64.random(in: 0...UInt64.max), radix: 32)), "iat": .integer(WallTime.now().seconds),
            "iss": .string(signer.publicText), "name": .string(name), "sub": .string(subject), "nats": claims,
        ]
        let signed = base64URL(JSONWriter.bytes(header)) + "." + base64URL(JSONWriter.bytes(body))
        return signed + "." + base64URL(try signer.sign(signed))
    }
}
