import Glibc

/// Watches for jobs that a world's tasks would give to Swift's own executor, whose threads know nothing of virtual time: an unstructured
/// `Task` without a preferred executor, `Task.sleep`. Such a job runs in the world all the same, so that two threads never meet there, but
/// the world has failed.
enum Escape {
    private typealias Original = @convention(c) (UnsafeMutableRawPointer) -> Void
    private typealias Hook = @convention(c) (UnsafeMutableRawPointer, Original) -> Void

    /// The world that runs on the present thread.
    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        pthread_key_create(&key, nil)
        return key
    }()

    private static let isInstalled: Bool = {
        // A variable of the Swift runtime for this purpose (Concurrency.h). A function of C has the calling convention of one of Swift, for
        // two pointers.
        guard let found = dlsym(nil, "swift_task_enqueueGlobal_hook") else { return false }
        let hook: Hook = { job, original in Escape.take(job, original) }
        found.assumingMemoryBound(to: Hook?.self).pointee = hook
        return true
    }()

    private static func take(_ job: UnsafeMutableRawPointer, _ original: Original) {
        guard let pointer = pthread_getspecific(key) else { return original(job) }
        let world = Unmanaged<World>.fromOpaque(pointer).takeUnretainedValue()
        guard let process = world.running else { return original(job) }
        world.fail(.escaped, "\(process.name) gives a task to Swift's own executor: give it executorPreference")
        process.executor.enqueue(unsafeBitCast(job, to: UnownedJob.self))
    }

    /// Runs `body`, which runs the tasks of `world`.
    static func watch(_ world: World, _ body: () -> Void) {
        _ = isInstalled
        let before = pthread_getspecific(key)
        pthread_setspecific(key, Unmanaged.passUnretained(world).toOpaque())
        body()
        pthread_setspecific(key, before)
    }
}
