import Glibc

/// What a certificate is for: its subject alternative names. A common name counts for nothing (RFC 9525). Pure.
///
/// The TLS library's own check is not enough for us: it takes a certificate that is for the address at the other end, whatever name was asked for, and so
/// whoever can answer for a name in DNS.
public struct CertificateNames: Sendable, Hashable, CustomStringConvertible {
    public enum Name: Sendable, Hashable {
        /// A host name, perhaps with `*` as its first label.
        case host(String)
        /// 4 or 16 bytes.
        case address([UInt8])
    }

    public var names: [Name]

    /// Whether it is for this host name or IP address.
    public func isFor(_ expected: String) -> Bool {
        if let address = Self.bytes(ofAddress: expected) { return names.contains(.address(address)) }
        let wanted = Self.labels(expected)
        guard !wanted.contains("") else { return false }
        return names.contains { name in
            guard case .host(let text) = name else { return false }
            let offered = Self.labels(text)
            guard offered.count == wanted.count, offered.dropFirst() == wanted.dropFirst() else { return false }
            // A wildcard stands for one label as a whole, and not for all names there are.
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

    /// Some of them, for people.
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
