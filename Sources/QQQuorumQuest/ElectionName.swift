import QQCore

/// The pair that Quorum Quest counts an election by, written `SERVICE[/DOMAIN]`.
struct ElectionName: Sendable, Hashable {
    /// Where none is given.
    static let defaultDomain = "production"

    var service: String
    var domain: String

    /// - Throws: `CoordinationError` of kind `.usage`. The server would take every name; but empty ones stand for nothing, and since it joins both with a
    ///   `:`, one with a `:` could be another election's.
    init(_ name: String) throws(CoordinationError) {
        func refused(_ reason: String) -> CoordinationError {
            CoordinationError(
                .usage, "'\(Printable.text(name))' cannot be the name of an election", because: reason,
                hint: "write SERVICE or SERVICE/DOMAIN; the domain is \(Self.defaultDomain) where none is given")
        }
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2 else { throw refused("it has more than one /") }
        guard !parts.contains("") else { throw refused(parts.count == 1 ? "it is empty" : "a part of it is empty") }
        guard !name.contains(":") else { throw refused("it has a :, which Quorum Quest puts between service and domain") }
        guard name.utf8.count <= 256, !name.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) else {
            throw refused("a name has at most 256 bytes, and no control characters")
        }
        service = String(parts[0])
        domain = parts.count == 2 ? String(parts[1]) : Self.defaultDomain
    }
}
