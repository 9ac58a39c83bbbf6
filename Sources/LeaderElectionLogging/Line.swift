import LeaderElection
import Logging

/// One event as a line of a log.
struct Line {
    var level: Logger.Level
    var message: Logger.Message
    var metadata: Logger.Metadata = [:]

    init(_ event: ElectionEvent) {
        switch event {
        case .campaigning: self.init(.debug, "campaigning")
        case .waiting(let leader): self.init(.info, "waiting while another process leads", Self.leader(leader))
        case .elected(let lease):
            self.init(.notice, "elected", ["remaining": .text(lease.remaining), "stop-time": .text(lease.stopTime)])
        case .renewed(_, let remaining): self.init(.trace, "renewed", ["remaining": .text(remaining)])
        case .leaderChanged(nil): self.init(.info, "no process leads")
        case .leaderChanged(let leader?) where leader.isUs == true: self.init(.debug, "this process leads", Self.leader(leader))
        case .leaderChanged(let leader?): self.init(.info, "another leader", Self.leader(leader))
        case .retrying(let error, let pause): self.init(.debug, "a request is retried", ["error": .text(error), "after": .text(pause)])
        case .outage(let error): self.init(.warning, "the servers do not answer", ["error": .text(error)])
        case .outageOver(let duration): self.init(.notice, "the servers answer again", ["after": .text(duration)])
        case .stepDownAsked(let asker): self.init(.notice, "asked to step down", ["by": .string(asker)])
        case .cancelled(let reason, let time):
            self.init(Self.level(of: reason), "work is cancelled", ["reason": .text(reason), "within": .text(time)])
        case .overran(let duration):
            self.init(.critical, "work has overrun the end of its lease: another process might lead", ["for": .text(duration)])
        case .workFailed(let error):
            self.init(.warning, "work failed after it was cancelled", ["work-error": .string("\(error)")])
        case .lost(let loss): self.init(Self.level(of: loss.reason), "leadership was lost", Self.loss(loss))
        case .released: self.init(.notice, "released")
        case .releaseFailed(let error): self.init(.warning, "the lease could not be released, and has to expire", ["error": .text(error)])
        case .connection(let event):
            self.init(.debug, "connection", ["connection": .string(event.kind.rawValue), "detail": .string(event.text)])
        case .missed(let count): self.init(.warning, "events were missed", ["count": .stringConvertible(count)])
        }
    }

    private init(_ level: Logger.Level, _ message: Logger.Message, _ metadata: Logger.Metadata = [:]) {
        self.level = level
        self.message = message
        self.metadata = metadata
    }

    /// An end that somebody asked for is no failure.
    private static func level(of reason: LeadershipLost.Reason) -> Logger.Level {
        switch reason {
        case .expired, .takenOver, .removed: .error
        case .steppedDown, .stopped, .released: .notice
        }
    }

    private static func leader(_ leader: Leader?) -> Logger.Metadata {
        var metadata: Logger.Metadata = [:]
        if let identity = leader?.identity { metadata["leader"] = .string(identity) }
        if let token = leader?.token { metadata["leader-token"] = .stringConvertible(token.value) }
        return metadata
    }

    private static func loss(_ loss: LeadershipLost) -> Logger.Metadata {
        var metadata: Logger.Metadata = ["reason": .text(loss.reason)]
        if let error = loss.workError { metadata["work-error"] = .string("\(error)") }
        return metadata
    }
}

extension Logger.MetadataValue {
    fileprivate static func text(_ reason: LeadershipLost.Reason) -> Self { .string(reason.description) }

    /// What, why and where, and what to do about it.
    fileprivate static func text(_ error: ElectionError) -> Self {
        .string(error.description + (error.hint.map { "; " + $0 } ?? ""))
    }

    /// Seconds with three decimals.
    fileprivate static func text(_ duration: Duration) -> Self {
        let milliseconds = Int64((duration / .milliseconds(1)).rounded())
        let fraction = String(1000 + abs(milliseconds % 1000)).dropFirst()
        return .string("\(milliseconds < 0 ? "-" : "")\(abs(milliseconds / 1000)).\(fraction)s")
    }
}
