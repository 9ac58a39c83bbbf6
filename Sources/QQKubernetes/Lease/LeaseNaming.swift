import QQCore

/// What can be checked before anything is sent.
enum LeaseNaming {
    /// Why `name` cannot be a lease's; nil if it can (RFC 1123 subdomain, as the API server checks it).
    static func problem(withName name: String) -> String? {
        if name.isEmpty { return "it is empty" }
        if name.utf8.count > 253 { return "it has more than 253 bytes" }
        for label in name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
            guard let first = label.first, let last = label.last, isAlphanumeric(first), isAlphanumeric(last),
                label.allSatisfy({ isAlphanumeric($0) || $0 == UInt8(ascii: "-") })
            else { return "it needs a-z, 0-9, '-' and '.', and a letter or digit at both ends of each part" }
        }
        return nil
    }

    /// Why `namespace` cannot be a namespace's name; nil if it can (RFC 1123 label).
    static func problem(withNamespace namespace: String) -> String? {
        if namespace.utf8.count > 63 { return "it has more than 63 bytes" }
        if namespace.utf8.contains(UInt8(ascii: ".")) { return "it has a dot" }
        return problem(withName: namespace)
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
    }

    /// A TTL in whole seconds; nil if the server would refuse it.
    static func seconds(_ ttl: Duration) -> Int32? {
        let (seconds, rest) = ttl.nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        guard rest == 0, seconds >= 1 else { return nil }
        return Int32(exactly: seconds)
    }
}
