import QQCore

/// The tries of one call at the members of a cluster: whether and where to try again after a failure. Pure.
package struct CallAttempts: Sendable {
    package enum Step: Sendable, Hashable {
        /// Ask this endpoint after the pause.
        case ask(Int, after: Duration)
        /// Log in again, then ask the same endpoint.
        case logIn
        case giveUp(EtcdFailure)
    }

    /// The endpoint that is asked.
    package private(set) var endpoint: Int
    private let count: Int
    private let isChange: Bool
    /// Endpoints that failed without the request being sent, since any other last gave an answer.
    private var unreachable: Set<Int> = []
    /// Whether an earlier try might have been carried out, or might still be.
    private(set) var isUncertain = false
    private var hasLoggedIn = false
    private var failures = 0

    /// - Parameters:
    ///   - first: the endpoint to ask first.
    ///   - count: the number of endpoints, at least 1.
    ///   - isChange: whether the request changes something.
    package init(first: Int, count: Int, isChange: Bool) {
        endpoint = first
        self.count = count
        self.isChange = isChange
    }

    /// Pause after each round of members that answer but cannot do it now.
    static let pause = Duration.milliseconds(100)

    /// How much more time than the first round each try of the present one gets: a slow network must not fail all tries.
    package var patience: Int { 1 << min(failures / count, 3) }

    /// - Parameters:
    ///   - canLogIn: whether there is a user to log in as.
    ///   - wasLate: whether the try took all of its time. A member that is unreachable for that reason is asked again, unlike one that refuses.
    package mutating func failed(_ failure: EtcdFailure, canLogIn: Bool, wasLate: Bool) -> Step {
        failures += 1
        switch failure.meaning {
        case .authTokenInvalid:
            guard canLogIn, !hasLoggedIn else { return .giveUp(final(refused(failure, canLogIn: canLogIn))) }
            hasLoggedIn = true
            return .logIn
        case .mayHaveBeenApplied:
            if isChange { isUncertain = true }
            unreachable = []
            return next(after: failures % count == 0 ? Self.pause : .zero)
        case .notApplied(.immediately):
            unreachable = []
            return next(after: failures <= 1 ? .zero : Self.pause)
        case .notApplied(.afterPause):
            unreachable = []
            return next(after: Self.pause)
        case .noLeader:
            unreachable = []
            return next(after: failures % count == 0 ? Self.pause : .zero)
        case .unavailable where wasLate: return next(after: .zero)
        case .unavailable:
            unreachable.insert(endpoint)
            guard unreachable.count < count else { return .giveUp(final(failure)) }
            return next(after: .zero)
        case .tooLarge:
            // The answer shows that the request was carried out, but not with which result.
            if isChange { isUncertain = true }
            return .giveUp(final(failure))
        case .configuration, .cancelled, .leaseGone, .leaseExists, .noSpace, .compacted, .denied, .authNotEnabled, .ours, .unsupported:
            return .giveUp(final(failure))
        }
    }

    private mutating func next(after pause: Duration) -> Step {
        endpoint = (endpoint + 1) % count
        return .ask(endpoint, after: pause)
    }

    /// The failure of the call, if its last try failed with this.
    ///
    /// An earlier try without an answer might have been carried out, whatever a later one was told; but if the lease is gone, nothing of it is left.
    package func final(_ failure: EtcdFailure) -> EtcdFailure {
        var failure = failure
        // A read without an answer is only that.
        if !isChange, failure.meaning == .mayHaveBeenApplied { failure.meaning = .unavailable }
        guard isUncertain, failure.meaning != .leaseGone else { return failure }
        (failure.meaning, failure.wasSent) = (.mayHaveBeenApplied, true)
        return failure
    }

    private func refused(_ failure: EtcdFailure, canLogIn: Bool) -> EtcdFailure {
        var failure = failure
        failure.meaning = .denied
        if canLogIn {
            failure.reason = "the cluster does not accept the login"
        } else {
            failure.hint = "give one with --login-file, or in QQ_ETCD_USER and QQ_ETCD_PASSWORD"
        }
        return failure
    }
}
