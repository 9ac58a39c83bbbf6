import Glibc

/// The names that a certificate is valid for: its subject alternative names. A common name does not count (RFC 9525). Pure.
///
/// The TLS library's own check is too weak: it accepts a certificate for the peer's IP address whatever name was requested, and thus anyone
/// who controls the DNS answers for that name.
public struct CertificateNames: Sendable, Hashable, CustomStringConvertible {
    public enum Name: Sendable, Hashable {
        /// A host name, perhaps with `*` as its first label.
        case host(String)
        /// An IP address of 4 or 16 bytes.
        case address([UInt8])
    }

    public var names: [Name]

    /// Whether the certificate is valid for this host name or IP address.
    public func isFor(_ expected: String) -> Bool {
        if let address = Self.bytes(ofAddress: expected) { return names.contains(.address(address)) }
        let wanted = Self.labels(expected)
        guard !wanted.contains("") else { return false }
        return names.contains { name in
            guard case .host(let text) = name else { return false }
            let offered = Self.labels(text)
            guard offered.count == wanted.count, offered.dropFirst() == wanted.dropFirst() else { return false }
            // A wildcard stands for one whole label; alone it does not stand for every name.
            return offered.first == wanted.first || (offered.first == "*" && offered.count > 1)
        }
    }

    private static func labels(_ host: String) -> [String] {
        let host = host.hasSuffix(".") ? host.dropLast() : host[...]
        return host.split(separator: ".", omittingEmptySubsequences: false).map { label in
            String(decoding: label.utf8.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
        }
    }

    /// The bytes of an IP address; nil for a host name.
    static func bytes(ofAddress text: String) -> [UInt8]? {
        for (family, size) in [(AF_INET, 4), (AF_INET6, 16)] {
            var bytes = [UInt8](repeating: 0, count: size)
            if inet_pton(family, text, &bytes) == 1 { return bytes }
        }
        return nil
    }

    /// The first names, for messages.
    public var description: String {
        guard !names.isEmpty else { return "no name at all" }
        let shown = names.prefix(5).map { name in
            switch name {
            case .host(let text): text
            case .address(let bytes): Self.text(bytes)
            }
        }
        return shown.joined(separator: ", ") + (names.count > shown.count ? " and others" : "")
    }

    private static func text(_ address: [UInt8]) -> String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(address.count == 4 ? AF_INET : AF_INET6, address, &text, socklen_t(text.count)) != nil else { return "an address" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
