import Foundation
import QQCore
import QQEtcd

/// One call of Watch/Watch, which carries any number of watches.
struct EtcdStream: Sendable {
    /// How long a stream with `hasleader` outlives the leader. Three election time-outs, looked at every half second.
    static let patience: Int64 = 3_500_000_000

    struct Watcher: Sendable {
        var keys: EtcdKeyRange
        /// The first revision that was not sent yet.
        var next: Int64
        var filters: [Etcdserverpb_WatchCreateRequest.FilterType]
        var sendsPrevious: Bool
    }

    var caller: EtcdStore.Caller
    var watchers: [Int64: Watcher] = [:]
    var nextID: Int64 = 0
    var requests: [Etcdserverpb_WatchRequest] = []
    var answers: [Etcdserverpb_WatchResponse] = []
    var failure: EtcdServerError?
}

/// Watches.
extension EtcdStore {
    /// Opens a stream for watches.
    /// - Returns: the stream's number.
    package mutating func openWatches(_ caller: Caller = Caller()) throws(EtcdServerError) -> Int {
        try admit("Watch/Watch", caller)
        if let fault = faults.take("Watch/Watch") { throw fault.failure }
        defer { nextStream += 1 }
        streams[nextStream] = EtcdStream(caller: caller)
        return nextStream
    }

    /// The number of watches of all streams.
    package var watchers: Int { streams.values.reduce(0) { $0 + $1.watchers.count } }

    package mutating func closeWatches(_ stream: Int) { streams[stream] = nil }

    /// Takes a request of a stream. Its answers are among the next ones of ``takeAnswers(_:)``.
    package mutating func watch(_ request: Etcdserverpb_WatchRequest, on stream: Int) {
        streams[stream]?.requests.append(request)
        deliver()
    }

    /// Takes the answers that a stream has not sent yet.
    /// - Throws: the failure that ended the stream, after all answers.
    package mutating func takeAnswers(_ stream: Int) throws(EtcdServerError) -> [Etcdserverpb_WatchResponse] {
        guard let answers = streams[stream]?.answers else { return [] }
        streams[stream]?.answers = []
        if answers.isEmpty, let failure = streams[stream]?.failure {
            streams[stream] = nil
            throw failure
        }
        return answers
    }

    /// Whether a stream has answers, or has failed.
    package func hasAnswers(_ stream: Int) -> Bool { streams[stream].map { !$0.answers.isEmpty || $0.failure != nil } ?? false }

    /// Ends all streams with a failure, as a server does that is about to end.
    package mutating func endWatches(_ failure: EtcdServerError) {
        for number in streams.keys { streams[number]?.failure = failure }
    }

    /// Cancels all watches, each with an answer that gives a reason.
    package mutating func cancelWatches(reason: String) {
        for (number, stream) in streams {
            for id in stream.watchers.keys.sorted() {
                var response = watchAnswer(stream, id)
                (response.canceled, response.cancelReason) = (true, reason)
                streams[number]?.answers.append(response)
            }
            streams[number]?.watchers = [:]
        }
    }

    // MARK: Delivery

    /// Ends the streams with `hasleader` whose members have been without a leader for long enough.
    mutating func endStreams() {
        for (number, stream) in streams where stream.caller.hasLeader && stream.failure == nil {
            if let isolation = isolated[stream.caller.member], isolation.since + EtcdStream.patience <= now {
                streams[number]?.failure = .noLeader
            }
        }
    }

    /// Answers requests and sends changes, on all streams whose members have them.
    mutating func deliver() {
        guard !faults.silentWatches else { return }
        for number in streams.keys.sorted() {
            guard var stream = streams[number], stream.failure == nil else { continue }
            let requests = stream.requests
            stream.requests = []
            for request in requests { answer(request, &stream) }
            let known = view(stream.caller.member)
            for id in stream.watchers.keys.sorted() { send(id, known, &stream) }
            streams[number] = stream
        }
    }

    private func watchAnswer(_ stream: EtcdStream, _ id: Int64) -> Etcdserverpb_WatchResponse {
        var response = Etcdserverpb_WatchResponse()
        (response.header, response.watchID) = (header(stream.caller.member), id)
        return response
    }

    /// Sends the changes of each revision in an answer of its own.
    private func send(_ id: Int64, _ known: EtcdKeySpace, _ stream: inout EtcdStream) {
        guard let watcher = stream.watchers[id] else { return }
        if watcher.next < known.compacted {
            cancelCompacted(id, known, &stream)
            return
        }
        guard watcher.next <= known.revision else { return }
        stream.watchers[id]?.next = known.revision + 1
        var revision: Int64 = 0
        for change in known.changes(from: watcher.next) where change.state.modRevision <= known.revision {
            guard let event = event(change, watcher) else { continue }
            if change.state.modRevision == revision, let last = stream.answers.indices.last, stream.answers[last].watchID == id {
                stream.answers[last].events.append(event)
                continue
            }
            revision = change.state.modRevision
            var response = watchAnswer(stream, id)
            (response.header.revision, response.events) = (revision, [event])
            stream.answers.append(response)
        }
    }

    private func cancelCompacted(_ id: Int64, _ known: EtcdKeySpace, _ stream: inout EtcdStream) {
        stream.watchers[id] = nil
        var response = watchAnswer(stream, id)
        response.header.revision = 0
        (response.canceled, response.compactRevision) = (true, known.compacted)
        stream.answers.append(response)
    }

    private func event(_ change: EtcdKeySpace.Change, _ watcher: EtcdStream.Watcher) -> Mvccpb_Event? {
        guard watcher.keys.contains(change.state.key) else { return nil }
        if watcher.filters.contains(change.isDeletion ? .nodelete : .noput) { return nil }
        var event = Mvccpb_Event()
        (event.type, event.kv) = (change.isDeletion ? .delete : .put, change.state)
        if watcher.sendsPrevious, let previous = change.previous, previous.modRevision >= keys.compacted { event.prevKv = previous }
        return event
    }

    // MARK: Requests

    private mutating func answer(_ request: Etcdserverpb_WatchRequest, _ stream: inout EtcdStream) {
        switch request.requestUnion {
        case .createRequest(let create): open(create, &stream)
        case .cancelRequest(let cancel):
            // An unknown id gets no answer.
            guard stream.watchers.removeValue(forKey: cancel.watchID) != nil else { return }
            var response = watchAnswer(stream, cancel.watchID)
            response.canceled = true
            stream.answers.append(response)
        case .progressRequest: stream.answers.append(watchAnswer(stream, -1))
        case nil: break
        }
    }

    private mutating func open(_ create: Etcdserverpb_WatchCreateRequest, _ stream: inout EtcdStream) {
        let range = EtcdKeyRange(create.key.isEmpty ? Data([0]) : create.key, create.rangeEnd)
        func refuse(_ reason: String) {
            var response = watchAnswer(stream, -1)
            (response.created, response.canceled, response.cancelReason) = (true, true, reason)
            stream.answers.append(response)
        }
        do {
            try check(login(stream.caller), .read, range)
        } catch {
            return refuse(error.reason)
        }
        // From source.
        if range.isEmpty { return refuse("mvcc: watcher range is empty") }
        if create.watchID != 0, stream.watchers[create.watchID] != nil {
            return refuse("mvcc: duplicate watch ID provided on the WatchStream")
        }
        var id = create.watchID
        if id == 0 {
            while stream.watchers[stream.nextID] != nil { stream.nextID += 1 }
            id = stream.nextID
            stream.nextID += 1
        }
        let known = view(stream.caller.member)
        var response = watchAnswer(stream, id)
        response.created = true
        stream.answers.append(response)
        let next = create.startRevision > 0 ? create.startRevision : known.revision + 1
        stream.watchers[id] = EtcdStream.Watcher(keys: range, next: next, filters: create.filters, sendsPrevious: create.prevKv)
        if next <= known.revision, next >= known.compacted { replay(id, known, &stream) }
    }

    /// Sends all changes since the start of a watch in one answer.
    private func replay(_ id: Int64, _ known: EtcdKeySpace, _ stream: inout EtcdStream) {
        guard let watcher = stream.watchers[id] else { return }
        stream.watchers[id]?.next = known.revision + 1
        var response = watchAnswer(stream, id)
        response.events = known.changes(from: watcher.next).filter { $0.state.modRevision <= known.revision }.compactMap {
            event($0, watcher)
        }
        if !response.events.isEmpty { stream.answers.append(response) }
    }
}
