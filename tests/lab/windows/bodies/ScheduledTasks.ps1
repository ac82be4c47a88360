# Scheduled tasks: registered in the state, started for real by the double.
enum Double_TaskState { Unknown = 0; Disabled = 1; Queued = 2; Ready = 3; Running = 4 }

function New-DoubleTaskPart([string]$Class, $Values) { New-DoubleCim 'Root/Microsoft/Windows/TaskScheduler' $Class $Values }

$DoubleTriggers = @{
    AtStartup = 'MSFT_TaskBootTrigger'
    AtLogOn = 'MSFT_TaskLogonTrigger'
    Once = 'MSFT_TaskTimeTrigger'
    Daily = 'MSFT_TaskDailyTrigger'
    Weekly = 'MSFT_TaskWeeklyTrigger'
}

Body 'New-ScheduledTaskAction' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'Execute','Argument','WorkingDirectory','Id'
    New-DoubleTaskPart 'MSFT_TaskExecAction' ([ordered]@{
        Id = $Bound.Id
        Arguments = $Bound.Argument
        Execute = $Bound.Execute
        WorkingDirectory = $Bound.WorkingDirectory
    })
}
Body 'New-ScheduledTaskTrigger' {
    param($Bound, $Cmdlet)
    $kind = @('AtStartup','AtLogOn','Once','Daily','Weekly' | Where-Object { $Bound.ContainsKey($_) })[0]
    New-DoubleTaskPart $DoubleTriggers[$kind] ([ordered]@{
        Enabled = $true
        Kind = $kind
        StartBoundary = $(if ($Bound.At) { $Bound.At.ToString('s') })
        Delay = $null
        RepetitionInterval = $(if ($null -ne $Bound.RepetitionInterval) { [Xml.XmlConvert]::ToString([TimeSpan]$Bound.RepetitionInterval) })
        Repetition = [pscustomobject][ordered]@{
            Interval = $(if ($null -ne $Bound.RepetitionInterval) { [Xml.XmlConvert]::ToString([TimeSpan]$Bound.RepetitionInterval) })
            Duration = $null
            StopAtDurationEnd = $false
        }
        DaysInterval = $Bound.DaysInterval
        UserId = $Bound.User
    })
}
Body 'New-ScheduledTaskPrincipal' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'UserId','GroupId','LogonType','RunLevel','Id'
    New-DoubleTaskPart 'MSFT_TaskPrincipal2' ([ordered]@{
        DisplayName = $null
        GroupId = $Bound.GroupId
        Id = $(if ($Bound.Id) { $Bound.Id } else { 'Author' })
        LogonType = [Double_ScheduledTasks_LogonTypeEnum]$(if ($Bound.ContainsKey('LogonType')) { $Bound.LogonType } else { 'Interactive' })
        RunLevel = [Double_ScheduledTasks_RunLevelEnum]$(if ($Bound.ContainsKey('RunLevel')) { $Bound.RunLevel } else { 'Limited' })
        UserId = $Bound.UserId })
}
Body 'New-ScheduledTaskSettingsSet' {
    param($Bound, $Cmdlet)
    $period = { param($span) if ($null -ne $span) { [Xml.XmlConvert]::ToString([TimeSpan]$span) } }
    New-DoubleTaskPart 'MSFT_TaskSettings3' ([ordered]@{
        DisallowStartIfOnBatteries = -not $Bound.AllowStartIfOnBatteries
        StopIfGoingOnBatteries = -not $Bound.DontStopIfGoingOnBatteries
        StartWhenAvailable = [bool]$Bound.StartWhenAvailable
        RestartCount = [int]$Bound.RestartCount
        RestartInterval = & $period $Bound.RestartInterval
        ExecutionTimeLimit = $(if ($Bound.ContainsKey('ExecutionTimeLimit')) { & $period $Bound.ExecutionTimeLimit } else { 'PT72H' })
        MultipleInstances = "$(if ($Bound.ContainsKey('MultipleInstances')) { $Bound.MultipleInstances } else { 'IgnoreNew' })"
        Hidden = [bool]$Bound.Hidden
        Enabled = -not $Bound.Disable })
}

function ConvertTo-DoublePlain($Object) {
    $plain = [ordered]@{}
    foreach ($property in $Object.PSObject.Properties) {
        if ($property.Name -notin 'CimClass','PSComputerName') {
            $plain[$property.Name] = if ($property.Value -is [enum]) { "$($property.Value)" } else { $property.Value }
        }
    }
    [pscustomobject]$plain
}
function New-DoubleTask([string]$Path, $Facts) {
    $cut = $Path.LastIndexOf('\') + 1
    $state = if (-not $Facts.Enabled) { 'Disabled' } elseif ($Facts.LastTaskResult -eq 0x41301) { 'Running' } else { 'Ready' }
    $principal = ConvertTo-DoublePlain $Facts.Principal
    $principal.LogonType = [Double_ScheduledTasks_LogonTypeEnum]$principal.LogonType
    $principal.RunLevel = [Double_ScheduledTasks_RunLevelEnum]$principal.RunLevel
    New-DoubleTaskPart 'MSFT_ScheduledTask' ([ordered]@{
        State = [Double_TaskState]$state
        Actions = @($Facts.Actions)
        Author = $null
        Date = $null
        Description = $Facts.Description
        Documentation = $null
        Principal = $principal
        Settings = $Facts.Settings
        Source = $null
        TaskName = $Path.Substring($cut)
        TaskPath = $Path.Substring(0, $cut)
        Triggers = @($Facts.Triggers | Where-Object { $_ } | ForEach-Object {
            $values = [ordered]@{}
            foreach ($property in $_.PSObject.Properties) { $values[$property.Name] = $property.Value }
            New-DoubleTaskPart $DoubleTriggers[$_.Kind] $values
        })
        URI = $Path
        Version = $null })
}
function Find-DoubleTask($State, $Bound, $Cmdlet) {
    if ($Bound.InputObject) { return @($Bound.InputObject | ForEach-Object { $_.URI }) }
    $names = @(if ($Bound.TaskName) { $Bound.TaskName } else { '*' })
    $folders = @(if ($Bound.TaskPath) { $Bound.TaskPath } else { '*' })
    foreach ($name in $names) {
        $found = @(Get-DoubleNames $State.tasks | Where-Object {
            $cut = $_.LastIndexOf('\') + 1
            $_.Substring($cut) -like $name -and (Test-DoubleLike $_.Substring(0, $cut) $folders)
        })
        if ($found) { $found } elseif (-not [Management.Automation.WildcardPattern]::ContainsWildcardCharacters($name)) {
            Write-DoubleCimNotFound $Cmdlet 'MSFT_ScheduledTask' 'TaskName' $name
        }
    }
}
Body 'Get-ScheduledTask' {
    param($Bound, $Cmdlet)
    $state = Get-DoubleState
    foreach ($path in Find-DoubleTask $state $Bound $Cmdlet) { New-DoubleTask $path $state.tasks.$path }
}
Body 'Register-ScheduledTask' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'TaskName','TaskPath','Action','Trigger','Principal','Settings','Description','User','RunLevel','Force'
    $path = ('\' + "$($Bound.TaskPath)".Trim('\') + '\').Replace('\\', '\') + $Bound.TaskName
    $state = Get-DoubleState
    if ($state.tasks.PSObject.Properties[$path] -and -not $Bound.Force) {
        Stop-Double $Cmdlet 'HRESULT 0x800700b7' 'Cannot create a file when that file already exists.' ResourceExists $path
    }
    $principal = if ($Bound.Principal) { ConvertTo-DoublePlain $Bound.Principal } else {
        [pscustomobject]@{
            UserId = $(if ($Bound.User) { $Bound.User } else { $env:USERNAME })
            LogonType = 'Interactive'
            RunLevel = "$(if ($Bound.ContainsKey('RunLevel')) { $Bound.RunLevel } else { 'Limited' })"
        }
    }
    $account = "$($principal.UserId)".Split('\')[-1]
    if (@($state.users.Name) + 'SYSTEM' + 'S-1-5-18' + 'LOCAL SERVICE' + 'NETWORK SERVICE' + $env:USERNAME -notcontains $account) {
        Stop-Double $Cmdlet 'HRESULT 0x80070534' 'No mapping between account names and security IDs was done.' InvalidArgument $account
    }
    Edit-DoubleState {
        param($state)
        Set-DoubleValue $state.tasks $path ([pscustomobject][ordered]@{
            Enabled = $true
            Description = $Bound.Description
            Principal = $principal
            Actions = @($Bound.Action | ForEach-Object { ConvertTo-DoublePlain $_ })
            Triggers = @($Bound.Trigger | Where-Object { $_ } | ForEach-Object { ConvertTo-DoublePlain $_ })
            Settings = $(if ($Bound.Settings) { ConvertTo-DoublePlain $Bound.Settings })
            LastRunTime = $null
            LastTaskResult = 0x41303
            Registered = Get-DoubleNow })
    }
    if (@($Bound.Trigger | Where-Object { $_.Kind -eq 'Once' })) { Invoke-DoubleControl schedule $path }
    New-DoubleTask $path (Get-DoubleState).tasks.$path
}
function Edit-DoubleTask($Bound, $Cmdlet, [scriptblock]$TaskChange) {
    $paths = @(Find-DoubleTask (Get-DoubleState) $Bound $Cmdlet)
    Edit-DoubleState { param($state) foreach ($path in $paths) { if ($Cmdlet.ShouldProcess($path)) { & $TaskChange $state.tasks $path } } }
}
Body 'Unregister-ScheduledTask' {
    param($Bound, $Cmdlet)
    Edit-DoubleTask $Bound $Cmdlet { param($tasks, $path) $tasks.PSObject.Properties.Remove($path) }
}
Body 'Enable-ScheduledTask' {
    param($Bound, $Cmdlet)
    foreach ($path in @(Find-DoubleTask (Get-DoubleState) $Bound $Cmdlet)) {
        Edit-DoubleState { param($state) $state.tasks.$path.Enabled = $true }
        New-DoubleTask $path (Get-DoubleState).tasks.$path
    }
}
Body 'Disable-ScheduledTask' {
    param($Bound, $Cmdlet)
    foreach ($path in @(Find-DoubleTask (Get-DoubleState) $Bound $Cmdlet)) {
        Edit-DoubleState { param($state) $state.tasks.$path.Enabled = $false }
        New-DoubleTask $path (Get-DoubleState).tasks.$path
    }
}
Body 'Start-ScheduledTask' {
    param($Bound, $Cmdlet)
    foreach ($path in @(Find-DoubleTask (Get-DoubleState) $Bound $Cmdlet)) { Invoke-DoubleControl start-task $path }
}
Body 'Get-ScheduledTaskInfo' {
    param($Bound, $Cmdlet)
    $state = Get-DoubleState
    foreach ($path in Find-DoubleTask $state $Bound $Cmdlet) {
        $task = $state.tasks.$path; $cut = $path.LastIndexOf('\') + 1
        New-DoubleTaskPart 'MSFT_TaskDynamicInfo' ([ordered]@{
            LastRunTime = ConvertTo-DoubleDate $task.LastRunTime
            LastTaskResult = [uint32]$task.LastTaskResult
            NextRunTime = $null
            NumberOfMissedRuns = [uint32]0
            TaskName = $path.Substring($cut)
            TaskPath = $path.Substring(0, $cut)
        })
    }
}
