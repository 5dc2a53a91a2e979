-- tries: waiting in the file scope, and yielding out of it
-- must: an error that says that there is no waiting here
-- trigger: load
-- expect: exit 1
-- says: waiting is possible in handlers
pcall(coroutine.yield)
pcall(sleep, 1e9)
sleep(1e9)
