extension ServerURL {
    /// A coordination system as far as its server URLs go: its name, its schemes, and the parts that its URLs have. Each system module declares its own;
    /// two values with one name are the same system.
    public struct System: Sendable, Hashable {
        /// The name that users and JSON see, such as `nats`.
        public let name: String
        /// The schemes of its URLs, in the order in which messages list them.
        public let schemes: [Scheme]
        /// The part of its URLs between `://` and the path.
        public let authority: Authority
        /// The path of its URLs.
        public let path: Path

        public init(name: String, schemes: [Scheme], authority: Authority, path: Path = .none) {
            self.name = name
            self.schemes = schemes
            self.authority = authority
            self.path = path
        }

        /// Whether its elections are reached over a network, and not on this machine.
        public var isOverNetwork: Bool { if case .none = authority { false } else { true } }

        /// Whether its URLs can contain a user and a password.
        public var hasCredentials: Bool { if case .hosts = authority { true } else { false } }

        /// Whether an absolute folder path alone can stand for its URL.
        public var isFolder: Bool { if case .folder = path { true } else { false } }

        /// How its URLs begin, for completion: `file:///`, or `nats://` and `tls://`.
        public var beginnings: [String] { schemes.map { $0.name + (isFolder ? ":///" : "://") } }

        public static func == (first: System, second: System) -> Bool { first.name == second.name }

        public func hash(into hasher: inout Hasher) { hasher.combine(name) }
    }

    /// A scheme of a system's URLs.
    public struct Scheme: Sendable, Hashable {
        /// In lower case, without the `://`.
        public let name: String
        /// Whether it asks for TLS.
        public let tls: Bool

        public init(_ name: String, tls: Bool = false) {
            self.name = name
            self.tls = tls
        }
    }

    /// The form of the part between `://` and the path.
    public enum Authority: Sendable {
        /// Nothing, or `localhost`: the elections are on this machine.
        case none
        /// `[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]...]`.
        /// - Parameters:
        ///   - areRequired: whether there has to be a host.
        ///   - loneUserIsToken: whether a text before the `@` without a `:` is a token, which is secret, and not a user.
        ///   - defaultPort: the TCP port of a host that is written without one.
        case hosts(areRequired: Bool, loneUserIsToken: Bool, defaultPort: Int)
        /// A name that is not a host, percent-encoded, in which `@` and `:` mean themselves. The name can be missing.
        /// - Parameter what: the meaning of the name, for errors, such as "the context's name".
        case name(_ what: String)
    }

    /// The form of the path.
    public enum Path: Sendable {
        /// Nothing, or a slash.
        case none
        /// An absolute folder path.
        case folder
        /// Any number of parts, such as the prefix of the system's keys.
        case prefix
        /// At most one part.
        case part(Part)
    }

    /// The one part that a path can have.
    public struct Part: Sendable {
        /// The meaning of the part, for errors, such as "the namespace".
        public let what: String
        /// The error for more than one part.
        public let tooMany: Invalid
        /// Why a part cannot be used; nil if it can.
        public let problem: @Sendable (String) -> Invalid?

        public init(_ what: String, tooMany: Invalid, problem: @escaping @Sendable (String) -> Invalid?) {
            self.what = what
            self.tooMany = tooMany
            self.problem = problem
        }
    }
}
