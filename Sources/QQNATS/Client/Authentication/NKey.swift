import Crypto
import QQCore

/// A user's Ed25519 key, read from its seed (`SU…`). Source: github.com/nats-io/nkeys.
///
/// The seed is not kept as text, and neither description nor mirror show the private key.
public struct NKey: Sendable {
    /// The public key, `U…`.
    public let publicKey: String

    private let key: Curve25519.Signing.PrivateKey

    /// - Throws: ``NATSError`` of kind `configuration` for anything but a user's seed. It names what was given instead and never quotes it.
    public init(seed: some StringProtocol) throws(NATSError) { try self.init(seedBytes: seed.utf8) }

    init(seedBytes text: some Collection<UInt8>) throws(NATSError) {
        guard var bytes = Base32.decode(text) else { throw Self.invalid("has characters that no NKey has, or was cut") }
        defer { Secret.wipe(&bytes) }
        guard bytes.count > 2, Self.checksum(bytes.dropLast(2)) == UInt16(bytes[bytes.count - 2]) | UInt16(bytes[bytes.count - 1]) << 8
        else {
            throw Self.invalid("was mistyped or cut: its checksum is wrong")
        }
        // Five bits mark a seed, the next five the kind of its owner.
        guard bytes[0] & 0xf8 == Prefix.seed else { throw Self.notASeed(bytes[0]) }
        let owner = bytes[0] << 5 | bytes[1] >> 3
        guard owner == Prefix.user else { throw Self.notAUser(owner) }
        guard bytes.count == 2 + 32 + 2 else { throw Self.invalid("does not have the length of an Ed25519 seed") }
        var raw = Array(bytes[2..<34])
        defer { Secret.wipe(&raw) }
        do {
            key = try Curve25519.Signing.PrivateKey(rawRepresentation: raw)
        } catch {
            throw Self.invalid("is not an Ed25519 key")
        }
        var encoded = [Prefix.user] + key.publicKey.rawRepresentation
        let checksum = Self.checksum(encoded)
        encoded += [UInt8(checksum & 0xff), UInt8(checksum >> 8)]
        publicKey = Base32.encode(encoded)
    }

    /// Returns the signature of `nonce` for CONNECT's `sig`: base64url without padding.
    ///
    /// - Throws: ``NATSError`` of kind `configuration` if the cryptographic library fails.
    public func sign(_ nonce: [UInt8]) throws(NATSError) -> String {
        do {
            return Base64URL.encode(try key.signature(for: nonce))
        } catch {
            throw NATSError(.configuration, "the NKey cannot sign")
        }
    }

    /// CRC-16/XMODEM.
    static func checksum(_ bytes: some Collection<UInt8>) -> UInt16 {
        var remainder: UInt16 = 0
        for byte in bytes {
            remainder ^= UInt16(byte) << 8
            for _ in 0..<8 { remainder = remainder & 0x8000 == 0 ? remainder << 1 : remainder << 1 ^ 0x1021 }
        }
        return remainder
    }
}

extension NKey: CustomStringConvertible, CustomReflectable {
    /// The public key.
    public var description: String { publicKey }

    /// Shows the public key alone.
    public var customMirror: Mirror { Mirror(self, children: ["publicKey": publicKey]) }
}

extension NKey {
    /// Values of the first five bits, which in base32 are the first letter.
    private enum Prefix {
        static let seed: UInt8 = 18 << 3
        static let privateKey: UInt8 = 15 << 3
        static let user: UInt8 = 20 << 3
        static let owners: [UInt8: String] = [
            user: "a user", 0: "an account", 13 << 3: "a server", 2 << 3: "a cluster", 14 << 3: "an operator", 23 << 3: "a curve",
        ]
    }

    private static func notASeed(_ first: UInt8) -> NATSError {
        if first == Prefix.privateKey { return invalid("is a private key, not a seed; give the seed, which starts with SU") }
        if let owner = Prefix.owners[first] {
            return invalid("is the public key of \(owner), not a seed; give the seed, which starts with SU")
        }
        return invalid("does not start with SU, as the seeds of users do")
    }

    private static func notAUser(_ owner: UInt8) -> NATSError {
        let seed = Prefix.owners[owner].map { "is \($0) seed" } ?? "is not a user seed"
        return invalid("\(seed); a login needs a user seed, which starts with SU")
    }

    private static func invalid(_ reason: String) -> NATSError { NATSError(.configuration, "the NKey \(reason)") }
}
