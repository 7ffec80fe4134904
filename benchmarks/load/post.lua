-- What wrk posts: the bodies of a file, one a line, in turn.
local bodies, next_one = {}, 0
for line in io.lines(os.getenv("BODIES")) do
  bodies[#bodies + 1] = line
end

function request()
  next_one = next_one % #bodies + 1
  return wrk.format("POST", nil, { ["Content-Type"] = "application/json" }, bodies[next_one])
end
