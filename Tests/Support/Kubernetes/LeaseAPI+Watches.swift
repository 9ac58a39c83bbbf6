import QQCore

extension LeaseAPI {
    func openWatch(_ request: Request, _ call: Attributes, _ format: Format) throws(APIStatus) -> Outcome {
        let selection = try Selection(call, request)
        let allowsBookmarks = request.parameter("allowWatchBookmarks") == "true"
        var sendsInitialEvents = request.parameter("sendInitialEvents") == "true"
        let match = request.parameter("resourceVersionMatch")
        if sendsInitialEvents, match != "NotOlderThan" {
            throw .invalidOption(
                "ListOptions", "resourceVersionMatch", "FieldValueForbidden",
                "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
        }
        let asked = try version(request)
        // The default of the server's WatchList feature.
        if asked ?? 0 == 0, allowsBookmarks, match == nil { sendsInitialEvents = true }
        if case .alive = store.state.withLock({ $0.condition }) {
        } else if asked == nil {
            return .silence(.forever)
        }
        let now = store.now()
        let seconds = Int64(request.parameter("timeoutSeconds") ?? "") ?? 0
        let deadline = seconds > 0 ? now + .seconds(seconds) : nil
        let bookmark = allowsBookmarks ? now + settings.bookmarkInterval : nil
        let hasCache = settings.cachesWatches
        let watch = store.state.withLock { state in
            cache.withLock { cache in
                let contents = state.contents
                let newest = cache.stale ?? contents.version
                if let asked, asked > 0, !sendsInitialEvents {
                    let watch = Watch(selection, format: format, from: asked, deadline: deadline, bookmark: bookmark)
                    if let message = Self.tooOld(asked, hasCache, max(cache.start, contents.forgotten), contents.compacted) {
                        watch.push(Self.event("ERROR", APIStatus.expired(message).json))
                        watch.end(.orderly)
                        return watch
                    }
                    cache.watches.append(watch)
                    if !cache.isSilent { for change in contents.log where change.version <= newest { watch.offer(change) } }
                    return watch
                }
                let watch = Watch(selection, format: format, from: newest, deadline: deadline, bookmark: bookmark)
                cache.watches.append(watch)
                guard !cache.isSilent else { return watch }
                let present = state.leases(at: newest).values.filter(selection.includes).sorted { $0.key < $1.key }
                for object in present { watch.send("ADDED", object) }
                if sendsInitialEvents, allowsBookmarks { watch.sendBookmark(newest, endsInitialEvents: true) }
                return watch
            }
        }
        return .stream(watch, after: .zero)
    }

    private static func tooOld(_ asked: UInt64, _ hasCache: Bool, _ start: UInt64, _ compacted: UInt64) -> String? {
        if hasCache { return asked < start ? "too old resource version: \(asked) (\(start))" : nil }
        return asked < compacted ? "The resourceVersion for the provided watch is too old." : nil
    }

    /// A change in the store.
    func hear(_ change: LeaseStore.Change) {
        cache.withLock { cache in
            guard cache.stale == nil, !cache.isSilent else { return }
            cache.watches.removeAll { $0.end != nil }
            for watch in cache.watches { watch.offer(change) }
        }
    }

    // MARK: Tests act on watches

    /// The running watches.
    public var watches: [Watch] { cache.withLock { cache in (cache.watches + cache.mute).filter { $0.end == nil } } }

    /// Does what is due by the store's clock: ends watches at their time limits, sends bookmarks, carries out writes that were postponed. Network
    /// servers call it every 5 ms.
    public func tick() {
        let now = store.now()
        let due = store.state.withLock { state in
            let due = state.pending.filter { $0.due.map { $0 <= now } ?? false }
            state.pending.removeAll { $0.due.map { $0 <= now } ?? false }
            return due
        }
        for write in due { write.apply() }
        let interval = settings.bookmarkInterval
        let current = store.version
        let (watches, version) = cache.withLock { ($0.watches, $0.stale ?? current) }
        for watch in watches { watch.tick(now, version: version, every: interval) }
    }

    /// Sends a bookmark to all watches that allow it.
    public func sendBookmarks() {
        let version = store.version
        for watch in watches where watch.allowsBookmarks { watch.sendBookmark(version) }
    }

    /// Ends all watches: in order, as at their time limits, or in the middle.
    public func endWatches(_ end: Watch.End = .orderly) {
        for watch in watches { watch.end(end) }
    }

    /// Ends all watches with the ERROR event of a version that is too old.
    public func expireWatches() {
        for watch in watches {
            watch.push(Self.event("ERROR", APIStatus.expired("too old resource version: 1 (\(store.version))").json))
            watch.end(.orderly)
        }
    }

    /// Makes all watches silent, also new ones; other calls work. When the silence ends, watches send the events that they have missed.
    public func silenceWatches(_ silent: Bool = true) {
        store.state.withLock { state in
            cache.withLock { cache in
                cache.isSilent = silent
                catchUp(&cache, state)
            }
        }
    }

    /// Stops the cache: until `refreshCache`, reads with `resourceVersion=0` return the present state, and watches are silent.
    public func freezeCache() {
        let version = store.version
        cache.withLock { $0.stale = version }
    }

    public func refreshCache() {
        store.state.withLock { state in
            cache.withLock { cache in
                cache.stale = nil
                catchUp(&cache, state)
            }
        }
    }

    private func catchUp(_ cache: inout Cache, _ state: LeaseStore.State) {
        guard cache.stale == nil, !cache.isSilent else { return }
        for watch in cache.watches { for change in state.contents.log { watch.offer(change) } }
    }

    // MARK: The server's life

    /// Forgets what a server knows only while it runs: its cache, so that all versions until now are too old for watches, and its watches, which
    /// end as `end` says. A network server does it when it starts again.
    public func restart(_ end: Watch.End = .orderly) {
        endWatches(end)
        let version = store.version
        cache.withLock { $0 = Cache(start: version) }
        state.withLock { $0.isTerminating = false }
    }

    /// Whether the server has got SIGTERM and waits for `--shutdown-delay-duration`: /readyz fails, all else works.
    public var isTerminating: Bool {
        get { state.withLock { $0.isTerminating } }
        set { state.withLock { $0.isTerminating = newValue } }
    }
}
