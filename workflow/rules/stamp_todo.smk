# The todo list of target pixel files, which also says who has no light curve.


use rule ccd_todo as stamp_todo with:
    output:
        **plan.outputs_beside_todo(plan.stamp_ccds),
        todo="results/{ccd_id}/todo.sqlite",
    wildcard_constraints:
        ccd_id=STAMPS,
