package import QQCore

/// A system that elections can live on: what its elections have where nothing else is said, and how its coordinators are made. One value a system, in a file of
/// its own; ``all`` lists them.
package struct SystemConnector: Sendable {
    /// The name, the schemes and ports, and the form of the URLs.
    package let url: ServerURL.System
    /// The name in messages, in the middle of a sentence: `NATS`, `lease files`.
    package let displayName: String
    /// Whether the system's URLs have options (`?NAME=VALUE`), which ``connect`` checks.
    package let hasURLOptions: Bool
    /// The identity to use if none is given. The variables are those of the environment, as far as it may be read.
    package let identity: @Sendable (_ variable: (String) -> String?) throws(CoordinationError) -> String
    /// The TTL to use if none is given.
    package let ttl: Duration
    package let backoff: BackoffRange
    /// The fraction of each pause by which it varies.
    package let jitter: Double
    /// The codes of the failures to retry; nil for every transient failure.
    package let retriedCodes: @Sendable () -> Set<String>?
    /// The abilities of the coordinator; nil for a system of which only the URL is known.
    package let capabilities: (@Sendable () -> Capabilities)?
    /// Makes a coordinator, without sending a request. Nil for a system whose coordinators are made elsewhere, or of which only the URL is known.
    let connect: (@Sendable (ConnectorInput) throws(CoordinationError) -> any Coordinator)?

    package init(
        url: ServerURL.System, displayName: String, hasURLOptions: Bool = false,
        identity: @escaping @Sendable (_ variable: (String) -> String?) throws(CoordinationError) -> String = { _ in Identity.generated() },
        ttl: Duration = Self.usualTTL, backoff: BackoffRange = Self.usualBackoff, jitter: Double = Self.usualJitter,
        retriedCodes: @escaping @Sendable () -> Set<String>? = { nil }, capabilities: (@Sendable () -> Capabilities)? = nil,
        connect: (@Sendable (ConnectorInput) throws(CoordinationError) -> any Coordinator)? = nil
    ) {
        self.url = url
        self.displayName = displayName
        self.hasURLOptions = hasURLOptions
        self.identity = identity
        self.ttl = ttl
        self.backoff = backoff
        self.jitter = jitter
        self.retriedCodes = retriedCodes
        self.capabilities = capabilities
        self.connect = connect
    }
}

// Most systems have these. They are computed, because nothing should be made when a program starts.
extension SystemConnector {
    package static var usualTTL: Duration { .seconds(15) }
    package static var usualBackoff: BackoffRange { BackoffRange(initial: .milliseconds(200), maximum: .seconds(5)) }
    package static var usualJitter: Double { 0.2 }
    /// In bytes; the default of gRPC itself.
    package static var usualMaximumMessage: Int { 4 << 20 }
}

extension SystemConnector {
    /// Makes a coordinator, without sending a request.
    ///
    /// - Throws: `.configuration` for a URL or settings that cannot be used, `.unsupported` for a system of which only the URL is known.
    package func coordinator(_ input: ConnectorInput) throws(CoordinationError) -> any Coordinator {
        guard let connect else {
            throw CoordinationError(
                .unsupported, "cannot use \(url.name)", because: "only its URLs are known", at: input.access.url.description)
        }
        try refuseUnknownOptions(of: input.access.url)
        return try connect(input)
    }

    /// Checks the URL of a system whose URLs have no options.
    ///
    /// - Parameter quoted: quotes the name of an option, safe to show.
    /// - Throws: `.configuration` for an option, which would otherwise be ignored in silence.
    package func refuseUnknownOptions(
        of server: ServerURL, quoted: (String) -> String = { "'\(Printable.text($0))'" }
    ) throws(CoordinationError) {
        guard !hasURLOptions, let item = server.query.first else { return }
        throw CoordinationError(
            .configuration, "cannot use the server URL",
            because: "\(quoted(item.name)) is not an option of \(url.isOverNetwork ? displayName : url.name) URLs",
            at: server.description,
            hint: "leave it out: they have none" + (url.isOverNetwork ? "" : "; in the name of a folder write ? as %3F"))
    }
}

/// The pauses between retries: the first one and the longest.
package struct BackoffRange: Sendable, Equatable {
    package var initial: Duration
    package var maximum: Duration

    package init(initial: Duration, maximum: Duration) {
        self.initial = initial
        self.maximum = maximum
    }
}
