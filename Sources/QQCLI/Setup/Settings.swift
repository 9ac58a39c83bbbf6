import QQCore
import QQNATS

/// The server where the election lives, and the source of this choice.
struct ServerChoice: Sendable {
    enum Origin: Sendable {
        case flag
        case environment
        case file
        case embedded
    }

    var url: ServerURL
    var origin: Origin

    /// Precedence: flag, environment, file, the embedded default. A cluster file is for NATS, so with one the other sources must name a NATS server, too.
    static func resolve(
        flag: String?, file: ClusterFile?, variables: (String) -> String? = filledVariable
    ) throws(CoordinationError) -> ServerChoice {
        if let flag { return try ServerChoice(url: parse(flag, from: "--server"), origin: .flag).checked(beside: file, "--server") }
        if let variable = variables("QQ_SERVER") {
            return try ServerChoice(url: parse(variable, from: "QQ_SERVER"), origin: .environment).checked(beside: file, "QQ_SERVER")
        }
        if let file {
            if let server = file.server { return ServerChoice(url: server, origin: .file) }
            throw CoordinationError(
                .configuration, "cannot tell where the cluster is", because: "nats.servers is missing", at: file.path,
                hint: "add it, or name the servers with -s nats://HOST:4222")
        }
        do throws(ServerURL.Invalid) {
            guard let embedded = Systems.all.compactMap(\.embedded).first else {
                throw ServerURL.Invalid(reason: "no server is given", hint: "name one with -s URL")
            }
            return ServerChoice(url: try embedded(), origin: .embedded)
        } catch { throw CoordinationError(.configuration, "cannot tell where lease files are", because: error.reason, hint: error.hint) }
    }

    private func checked(beside file: ClusterFile?, _ name: String) throws(CoordinationError) -> ServerChoice {
        let expected = ClusterFile.system
        guard file != nil, url.system != expected else { return self }
        throw CoordinationError(
            .usage, "cannot use --cluster-config",
            because: "it is for \(Systems.of(expected)?.displayName ?? expected.name), and \(name) is not a "
                + "\(Systems.list(expected.beginnings, "or")) URL",
            at: url.description, hint: "leave one of them out")
    }

    private static func parse(_ text: String, from origin: String) throws(CoordinationError) -> ServerURL {
        do throws(ServerURL.Invalid) { return try Systems.url(text) } catch {
            throw CoordinationError(.configuration, "cannot use the server URL", because: error.reason, at: origin, hint: error.hint)
        }
    }
}

/// The timing of a lease. The flags are checked together, because the limits of each depend on the others.
struct LeaseTiming: Sendable {
    var ttl: Duration
    var renewEvery: Duration
    var killAfter: Duration

    init(ttl: Duration, renewEvery: Duration?, killAfter: Duration?) throws(CoordinationError) {
        self.ttl = ttl
        self.renewEvery = renewEvery ?? ttl / Defaults.ttlDivisor
        self.killAfter = Self.killAfter(killAfter, ttl: ttl)
        // A cluster file or a saved grant can contain a shorter TTL than the flag accepts.
        guard ttl >= Defaults.shortestTTL else {
            throw Self.wrong(
                "a TTL of \(DurationText.format(ttl)) is too short", "choose one of at least \(DurationText.format(Defaults.shortestTTL))")
        }
        guard self.renewEvery < ttl else {
            throw Self.wrong(
                "--renew-every \(DurationText.format(self.renewEvery)) is not shorter than the TTL of \(DurationText.format(ttl))",
                "a third of the TTL leaves room for a failure: leave --renew-every out")
        }
        // SIGTERM is sent this long before the lease expires, and must not come before the first renewal is due.
        let longest = ttl - self.renewEvery
        guard self.killAfter < longest else {
            throw Self.wrong(
                "--kill-after \(DurationText.format(self.killAfter)) leaves no time to renew: a TTL of \(DurationText.format(ttl)) renewed every "
                    + "\(DurationText.format(self.renewEvery)) has room for less than \(DurationText.format(longest))",
                "choose a longer --ttl or a shorter --kill-after")
        }
    }

    /// The time from SIGTERM to SIGKILL.
    /// - Parameter given: the value of the flag; nil for the default.
    static func killAfter(_ given: Duration?, ttl: Duration) -> Duration {
        given ?? min(ttl / Defaults.ttlDivisor, Defaults.killAfterAtMost)
    }

    private static func wrong(_ what: String, _ hint: String) -> CoordinationError {
        CoordinationError(.usage, what, because: "", hint: hint)
    }
}
